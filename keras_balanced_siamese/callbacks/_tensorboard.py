"""Images of reports for TensorBoard."""

import importlib
import io
import time
from typing import Any

from keras_balanced_siamese.evaluation import PairReport
from keras_balanced_siamese.plots import plot_report, pyplot


def tensorboard() -> tuple[Any, Any, Any]:
    """Return the event writer class and the message classes of an event and its summary."""
    try:
        event = importlib.import_module("tensorboard.compat.proto.event_pb2").Event
        summary = importlib.import_module("tensorboard.compat.proto.summary_pb2").Summary
        writer = importlib.import_module("tensorboard.summary.writer.event_file_writer").EventFileWriter
    except ImportError as error:
        raise ImportError('`log_dir` needs: pip install "keras-balanced-siamese[tensorboard]"') from error
    return writer, event, summary


def image_event(epoch: int, report: PairReport) -> Any:
    """Return an event with the plot of a report."""
    _, event, summary = tensorboard()
    buffer = io.BytesIO()
    figure = plot_report(report, title=f"Epoch {epoch + 1}")
    figure.savefig(buffer, format="png", dpi=100)
    pyplot().close(figure)
    width, height = (round(100 * inches) for inches in figure.get_size_inches())
    image = summary.Image(height=height, width=width, colorspace=4, encoded_image_string=buffer.getvalue())
    value = summary.Value(tag="verification_report", image=image)
    return event(step=epoch, wall_time=time.time(), summary=summary(value=[value]))
