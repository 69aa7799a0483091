"""The table of `summary()`."""

from cornu import Input, Model, Sequential, layers

CHAIN = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ dense (Dense)                   │ (4, 3)                 │            15 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ re_lu (ReLU)                    │ (4, 3)                 │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_1 (Dense)                 │ (4, 3)                 │            12 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 27 (108.00 B)
 Trainable params: 27 (108.00 B)
 Non-trainable params: 0 (0.00 B)
"""

GRAPH = """\
Model: "functional"
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩
│ input_layer         │ (None, 4)         │          0 │ -                 │
│ (InputLayer)        │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ dense (Dense)       │ (None, 4)         │         20 │ input_layer[0][0… │
│                     │                   │            │ dense[0][0]       │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ add (Add)           │ (None, 4)         │          0 │ dense[0][0],      │
│                     │                   │            │ dense[1][0]       │
└─────────────────────┴───────────────────┴────────────┴───────────────────┘
 Total params: 20 (80.00 B)
 Trainable params: 0 (0.00 B)
 Non-trainable params: 20 (80.00 B)
"""


def text_of(model, **kwargs):
    texts = []
    model.summary(print_fn=texts.append, **kwargs)
    return "".join(texts)


def test_a_chain(capsys):
    model = Sequential([layers.Dense(3), layers.ReLU(), layers.Dense(3)])
    assert text_of(model).count("0 (unbuilt)") == 2
    model.build((4, 4))
    assert text_of(model) == CHAIN
    model.summary()
    assert capsys.readouterr().out == CHAIN


def test_an_optimizer_counts_once_it_is_built():
    model = Sequential([Input((2,)), layers.Dense(1)])
    model.compile("adam", "mse")
    assert "Optimizer" not in text_of(model)
    model.optimizer.build(model.trainable_variables)
    assert "Total params: 11 (44.00 B)" in text_of(model)
    assert "Optimizer params: 8 (32.00 B)" in text_of(model)


def test_a_graph_names_connections():
    x = Input((4,))
    dense = layers.Dense(4)
    h = dense(x)
    model = Model(x, layers.Add()([h, dense(h)]))
    model.trainable = False
    assert text_of(model) == GRAPH


def test_options():
    inner = Sequential([Input((4,)), layers.Dense(1000, name="wide")], name="inner")
    model = Sequential([Input((4,)), inner, layers.Dense(2, name="out")])
    nested = text_of(model, expand_nested=True, show_trainable=True)
    assert "│    └ wide (Dense) " in nested
    assert "Trai…" in nested
    assert "out (Dense)" not in text_of(model, layer_range=["inner", "inner"])
    assert max(map(len, text_of(model, line_length=40).splitlines())) == 40
    assert "Total params: 7,002 (27.35 KB)" in nested
