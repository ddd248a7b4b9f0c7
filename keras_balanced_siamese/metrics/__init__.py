"""What `fit` prints about telling similar from different pairs, right over the whole epoch."""

from keras_balanced_siamese.metrics.decisions import BalancedPairAccuracy as BalancedPairAccuracy
from keras_balanced_siamese.metrics.decisions import FalseAcceptRate as FalseAcceptRate
from keras_balanced_siamese.metrics.decisions import FalseRejectRate as FalseRejectRate
from keras_balanced_siamese.metrics.decisions import MatthewsCorrelation as MatthewsCorrelation
from keras_balanced_siamese.metrics.equal_error_rate import EqualErrorRate as EqualErrorRate
from keras_balanced_siamese.metrics.precision import VerificationPRAUC as VerificationPRAUC
from keras_balanced_siamese.metrics.roc import VerificationAUC as VerificationAUC
from keras_balanced_siamese.metrics.true_accept_rate import TrueAcceptRate as TrueAcceptRate
