"""Callbacks: what is told about the course of training."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".callback": "Callback CallbackList",
        ".progress": "History ProgbarLogger",
        ".monitor": "EarlyStopping ModelCheckpoint MonitorCallback ReduceLROnPlateau",
        ".control": (
            "BackupAndRestore LambdaCallback LearningRateScheduler SwapEMAWeights TerminateOnNaN"
        ),
        ".records": "CSVLogger RemoteMonitor",
        ".tensorboard": "OrbaxCheckpoint TensorBoard",
    },
)
