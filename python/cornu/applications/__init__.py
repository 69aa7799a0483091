"""Well-known image models: `cornu.applications`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".convnext": "ConvNeXtBase ConvNeXtLarge ConvNeXtSmall ConvNeXtTiny ConvNeXtXLarge",
        ".densenet": "DenseNet121 DenseNet169 DenseNet201",
        ".efficientnet": """
            EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4
            EfficientNetB5 EfficientNetB6 EfficientNetB7""",
        ".efficientnet_v2": """
            EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2L
            EfficientNetV2M EfficientNetV2S""",
        ".inception_resnet_v2": "InceptionResNetV2",
        ".inception_v3": "InceptionV3",
        ".mobilenet": "MobileNet",
        ".mobilenet_v2": "MobileNetV2",
        ".mobilenet_v3": "MobileNetV3Large MobileNetV3Small",
        ".nasnet": "NASNetLarge NASNetMobile",
        ".resnet": "ResNet50 ResNet101 ResNet152 ResNet50V2 ResNet101V2 ResNet152V2",
        ".vgg": "VGG16 VGG19",
        ".xception": "Xception",
    },
    submodules="""
        convnext densenet efficientnet efficientnet_v2 imagenet_utils inception_resnet_v2
        inception_v3 mobilenet mobilenet_v2 mobilenet_v3 nasnet resnet resnet50 resnet_v2
        vgg16 vgg19 xception""",
)
