"""Initial values of weights: `keras.initializers`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".initializer": "Initializer",
        ".constants": (
            "Constant constant=Constant Identity IdentityInitializer=Identity identity=Identity "
            "Ones ones=Ones STFT STFTInitializer=STFT stft=STFT Zeros zeros=Zeros"
        ),
        ".draws": (
            "GlorotNormal glorot_normal=GlorotNormal GlorotUniform glorot_uniform=GlorotUniform "
            "HeNormal he_normal=HeNormal HeUniform he_uniform=HeUniform LecunNormal "
            "lecun_normal=LecunNormal LecunUniform lecun_uniform=LecunUniform Orthogonal "
            "OrthogonalInitializer=Orthogonal orthogonal=Orthogonal RandomNormal "
            "random_normal=RandomNormal RandomUniform random_uniform=RandomUniform TruncatedNormal "
            "truncated_normal=TruncatedNormal VarianceScaling variance_scaling=VarianceScaling"
        ),
        ".registry": "deserialize get serialize",
    },
)
