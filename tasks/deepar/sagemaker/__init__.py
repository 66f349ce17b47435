"""DeepAR on Amazon SageMaker: training, tuning, batch transform and endpoint. No job is paid for twice."""

from importlib.util import find_spec

from schemas.errors import ConfigError

if find_spec("botocore") is None or find_spec("sagemaker") is None:
    raise ConfigError(
        "models.deepar.backend sagemaker needs the AWS packages, which are an extra: pip install 'restock[aws]' "
        "(in a checkout: pip install -e '.[aws]'). Or set backend to local."
    )
