"""The layers: `cornu.layers`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".layer": "Layer",
        ".input_spec": "InputSpec",
        ".input_layer": "Input InputLayer",
        ".core": "Dense EinsumDense Embedding Identity Lambda Masking ReversibleEmbedding Wrapper",
        ".activations": "Activation ELU LeakyReLU PReLU ReLU Softmax",
        "cornu.legacy.layers": "CuDNNGRU CuDNNLSTM",
        "cornu.legacy.modules": "experimental=layers_experimental",
        ".registry": "deserialize serialize",
        ".convolutional": """
            Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose
            DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D
            Convolution1D=Conv1D Convolution2D=Conv2D Convolution3D=Conv3D
            Convolution1DTranspose=Conv1DTranspose Convolution2DTranspose=Conv2DTranspose
            Convolution3DTranspose=Conv3DTranspose
            SeparableConvolution1D=SeparableConv1D SeparableConvolution2D=SeparableConv2D""",
        ".pooling": """
            MaxPooling1D MaxPooling2D MaxPooling3D
            AveragePooling1D AveragePooling2D AveragePooling3D
            GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
            GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
            AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
            AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
            MaxPool1D=MaxPooling1D MaxPool2D=MaxPooling2D MaxPool3D=MaxPooling3D
            AvgPool1D=AveragePooling1D AvgPool2D=AveragePooling2D AvgPool3D=AveragePooling3D
            GlobalMaxPool1D=GlobalMaxPooling1D GlobalMaxPool2D=GlobalMaxPooling2D
            GlobalMaxPool3D=GlobalMaxPooling3D GlobalAvgPool1D=GlobalAveragePooling1D
            GlobalAvgPool2D=GlobalAveragePooling2D GlobalAvgPool3D=GlobalAveragePooling3D""",
        ".normalization": """
            BatchNormalization GroupNormalization LayerNormalization RMSNormalization
            SpectralNormalization UnitNormalization""",
        ".regularization": """
            ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise
            SpatialDropout1D SpatialDropout2D SpatialDropout3D""",
        ".merging": """
            Add Average Concatenate Dot Maximum Minimum Multiply Subtract
            add average concatenate dot maximum minimum multiply subtract""",
        ".reshaping": """
            Cropping1D Cropping2D Cropping3D Flatten Permute RepeatVector Reshape
            UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D""",
        ".attention": """
            AdditiveAttention Attention GroupedQueryAttention MultiHeadAttention
            GroupQueryAttention=GroupedQueryAttention""",
        ".preprocessing.categorical": "CategoryEncoding",
        ".preprocessing.discretization": "Discretization",
        ".preprocessing.hashing": "HashedCrossing Hashing",
        ".preprocessing.image.boxes": "MaxNumBoundingBoxes",
        ".preprocessing.image.color": """
            RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
            RandomGrayscale RandomHue RandomInvert RandomSaturation""",
        ".preprocessing.image.filters": "RandomGaussianBlur RandomSharpness",
        ".preprocessing.image.flips": "RandomFlip",
        ".preprocessing.image.geometry": """
            RandomElasticTransform RandomPerspective RandomRotation RandomShear
            RandomTranslation RandomZoom""",
        ".preprocessing.image.mixing": "CutMix MixUp RandomErasing",
        ".preprocessing.image.policies": "AugMix RandAugment",
        ".preprocessing.image.sizes": "CenterCrop RandomCrop Resizing",
        ".preprocessing.image.tones": """
            AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization
            RandomPosterization Solarization""",
        ".preprocessing.lookup": "IntegerLookup StringLookup",
        ".preprocessing.numerical": "Normalization Rescaling",
        ".preprocessing.pipeline": "Pipeline",
        ".preprocessing.spectrograms": "MelSpectrogram STFTSpectrogram",
        ".preprocessing.text": "TextVectorization",
        ".rnn.convolutional": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
        ".rnn.cells": "GRUCell LSTMCell SimpleRNNCell StackedRNNCells",
        ".rnn.recurrent": "GRU LSTM RNN SimpleRNN",
        ".rnn.wrappers": "Bidirectional TimeDistributed",
    },
)
