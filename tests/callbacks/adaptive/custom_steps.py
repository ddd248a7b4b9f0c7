"""Models whose training step is written by hand, in the two forms that the Keras guides teach, on each backend."""

import importlib

import keras
from toy import BACKEND, linear_encoder

import keras_balanced_siamese as kbs


class TensorFlowStep(keras.Model):
    """Computes the loss under a tape."""

    def train_step(self, data):
        inputs, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        with importlib.import_module("tensorflow").GradientTape() as tape:
            output = self(inputs, training=True)
            loss = self.loss_of(inputs, y, output, weight)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return self.report(loss, y, output, weight)


class TorchStep(keras.Model):
    """Computes the loss and lets PyTorch go back from it."""

    def train_step(self, data):
        inputs, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        self.zero_grad()
        output = self(inputs, training=True)
        loss = self.loss_of(inputs, y, output, weight)
        loss.backward()
        variables = list(self.trainable_weights)
        with importlib.import_module("torch").no_grad():
            self.optimizer.apply([variable.value.grad for variable in variables], variables)
        return self.report(loss, y, output, weight)


class JaxStep(keras.Model):
    """Computes the loss and the new values of all variables without side effects."""

    def loss_and_updates(self, trainable, fixed, metrics, inputs, y, weight):
        output, fixed = self.stateless_call(trainable, fixed, inputs, training=True)
        loss, metrics = self.stateless_loss_of(trainable, fixed, metrics, inputs, y, output, weight)
        return loss, (output, fixed, metrics)

    def train_step(self, state, data):
        trainable, fixed, of_optimizer, metrics = state
        inputs, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        function = importlib.import_module("jax").value_and_grad(self.loss_and_updates, has_aux=True)
        (loss, (output, fixed, metrics)), gradients = function(trainable, fixed, metrics, inputs, y, weight)
        trainable, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, trainable)
        logs, metrics = self.stateless_report(metrics, loss, y, output, weight)
        return logs, (trainable, fixed, of_optimizer, metrics)


Step = {"tensorflow": TensorFlowStep, "torch": TorchStep, "jax": JaxStep}[BACKEND]


class EveryMetric(Step):
    """The first form: the compiled loss, and a loop over all metrics of the model."""

    weighted = False  # whether the metrics get the sample weights too

    def loss_of(self, inputs, y, output, weight):
        return self.compute_loss(x=inputs, y=y, y_pred=output, sample_weight=weight)

    def stateless_loss_of(self, trainable, fixed, metrics, inputs, y, output, weight):
        data = {"x": inputs, "y": y, "y_pred": output, "sample_weight": weight}
        loss, (_, _, metrics) = self.stateless_compute_loss(trainable, fixed, metrics, training=True, **data)
        return loss, metrics

    def arguments(self, metric, loss, y, output, weight):
        """What the guides pass to `update_state` of a metric."""
        if metric.name == "loss":
            return (loss,), {}
        return (y, output), {"sample_weight": weight} if self.weighted else {}

    def report(self, *step):
        for metric in self.metrics:
            positional, named = self.arguments(metric, *step)
            metric.update_state(*positional, **named)
        return {metric.name: metric.result() for metric in self.metrics}

    def stateless_report(self, variables, *step):
        logs, new = {}, []
        for metric in self.metrics:
            positional, named = self.arguments(metric, *step)
            own = variables[len(new) : len(new) + len(metric.variables)]
            own = metric.stateless_update_state(own, *positional, **named)
            logs[metric.name] = metric.stateless_result(own)
            new += own
        return logs, new


class EveryMetricWeighted(EveryMetric):
    weighted = True


class OwnTracker(Step):
    """The second form: nothing but an optimizer is compiled; the model has its own loss, tracker and `metrics`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.own_loss = kbs.WeightedContrastiveLoss()

    @property
    def metrics(self):
        return [self.loss_tracker]

    def loss_of(self, inputs, y, output, weight):
        return self.own_loss(y, output, sample_weight=weight)

    def stateless_loss_of(self, trainable, fixed, metrics, inputs, y, output, weight):
        return self.own_loss(y, output, sample_weight=weight), metrics

    def report(self, loss, *_):
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}

    def stateless_report(self, variables, loss, *_):
        own = self.loss_tracker.stateless_update_state(variables[: len(self.loss_tracker.variables)], loss)
        return {"loss": self.loss_tracker.stateless_result(own)}, [*own, *variables[len(own) :]]


class ScopedTracker(OwnTracker):
    """The second form with all metrics of the model, whose variables take part in the step of JAX too."""

    @property
    def metrics(self):
        return super(OwnTracker, self).metrics

    def stateless_loss_of(self, trainable, fixed, metrics, inputs, y, output, weight):
        with keras.StatelessScope(zip(self.metrics_variables, metrics, strict=True)) as scope:
            loss = self.own_loss(y, output, sample_weight=weight)
        return loss, [scope.get_current_value(one) for one in self.metrics_variables]

    def stateless_report(self, variables, loss, *_):
        with keras.StatelessScope(zip(self.metrics_variables, variables, strict=True)) as scope:
            self.loss_tracker.update_state(loss)
            logs = {"loss": self.loss_tracker.result()}
        return logs, [scope.get_current_value(one) for one in self.metrics_variables]


def siamese(form, **compiled_with):
    """A model of one of these forms with the layers of `toy.compiled`."""
    plain = kbs.siamese_model(linear_encoder())
    model = form(plain.inputs, plain.outputs)
    model.compile(keras.optimizers.SGD(0.02), **compiled_with)
    return model
