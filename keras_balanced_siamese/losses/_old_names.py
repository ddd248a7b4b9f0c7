"""Arguments of the losses of other libraries, and what they are called here."""

from collections.abc import Mapping
from typing import Any

OLD_NAMES = {  # argument of the losses here -> arguments of other libraries, and what to pass instead
    "distance": {
        "distance_metric": '`distance`, where "L2" is "euclidean", "squared-L2" is "squared" and "angular" is "cosine"',
    },
    "mining": {
        "soft": '`margin="soft"`',
        "soft_margin": '`margin="soft"`',
        "type_of_triplets": '`mining`, "semi-hard", "hard" or "all"',
        "negative_mining_strategy": '`mining`, "semi-hard", "hard" or "all"',
        "positive_mining_strategy": '`mining`, "semi-hard", "hard" or "all"',
    },
    "positive_margin": {"pos_margin": "`positive_margin`", "neg_margin": "`margin`"},
    "base": {"lmda": "`base`"},
}


def check_names(name: str, known: Any, given: Mapping[str, Any]) -> None:
    """Raise for an argument of another library, if the class has what it is called here.

    Raises:
        TypeError: For such an argument; the message names the new one.
    """
    for own, old_names in OLD_NAMES.items():
        for old in old_names.keys() & given.keys() if own in known else ():
            raise TypeError(f"`{name}` has no argument `{old}`: pass {old_names[old]}. Received: {old}={given[old]!r}")
