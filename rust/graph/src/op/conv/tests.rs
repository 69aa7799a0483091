//! Convolutions against plain loops.
use super::*;
use crate::emit::Dispatch;
use crate::op::builder;
use crate::{Symbol, Tensor, apply};

fn attr_ints(values: &[i64]) -> Attr<'static> {
    Attr::List(
        values
            .iter()
            .map(|&value| Attr::Int(Dim::Known(value)))
            .collect(),
    )
}

fn build(name: &str, attrs: &[(&'static str, Attr<'static>)]) -> Arc<dyn Op> {
    builder(name).unwrap()(&Attrs(attrs.iter().cloned().collect())).unwrap()
}

/// Small integers, so that sums are exact.
fn value(shape: &[usize], seed: usize) -> Value {
    let len = shape.iter().product();
    let data: Vec<f64> = (0..len)
        .map(|i| ((i * 7919 + seed * 31) % 11) as f64 - 5.0)
        .collect();
    Value::concrete(Tensor::from_slice(&data, shape))
}

fn like(value_: &Value, seed: usize) -> Value {
    value(&value_.shape().known().unwrap(), seed)
}

fn dot(a: &Value, b: &Value) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let (a, b) = (a.require().unwrap(), b.require().unwrap());
    a.as_slice::<f64>()
        .iter()
        .zip(b.as_slice::<f64>())
        .map(|(a, b)| a * b)
        .sum()
}

fn gradients(op: &Arc<dyn Op>, inputs: &[Value], outputs: &[Value], g: &Value) -> Vec<Value> {
    let vjp = Vjp {
        inputs,
        outputs,
        grads: &[Some(g.clone())],
        wanted: &vec![true; inputs.len()],
    };
    op.vjp(&mut Dispatch, &vjp)
        .unwrap()
        .into_iter()
        .flatten()
        .collect()
}

/// An op that is linear in each of its two operands: `<f(a, b), t> = <a, gradient of a> = <b, gradient of b>`.
fn check_bilinear(op: Arc<dyn Op>, a: &Value, b: &Value) -> (Value, Vec<Value>) {
    let y = apply(op.clone(), &[a, b]).unwrap().remove(0);
    let t = like(&y, 9);
    let inputs = [a.clone(), b.clone()];
    let grads = gradients(&op, &inputs, std::slice::from_ref(&y), &t);
    let expected = dot(&y, &t);
    assert_eq!(dot(a, &grads[0]), expected, "{op:?}");
    assert_eq!(dot(b, &grads[1]), expected, "{op:?}");
    (t, grads)
}

#[test]
fn gradients_are_adjoint() {
    let same = || Attr::Str("same");
    let pairs = Attr::List(vec![attr_ints(&[1, 2]), attr_ints(&[0, 3])]);
    for (x, kernel, strides, dilation, padding, groups) in [
        ([2, 6, 7, 4], [3, 2, 4, 5], [1, 1], [1, 1], same(), 1),
        (
            [2, 6, 7, 4],
            [3, 3, 4, 5],
            [2, 3],
            [1, 1],
            Attr::Str("valid"),
            1,
        ),
        ([1, 7, 6, 4], [3, 3, 2, 6], [2, 1], [1, 2], pairs, 2),
        ([1, 7, 6, 4], [3, 3, 1, 8], [2, 2], [1, 1], same(), 4),
    ] {
        let attrs = [
            ("strides", attr_ints(&strides)),
            ("dilation", attr_ints(&dilation)),
            ("padding", padding),
            ("groups", Attr::Int(Dim::Known(groups))),
        ];
        let (x, kernel) = (value(&x, 1), value(&kernel, 2));
        let conv = build("conv", &attrs);
        let (g, grads) = check_bilinear(conv, &x, &kernel);
        let sizes = |value: &Value| {
            let sizes = value.shape().known().unwrap();
            attr_ints(&sizes.iter().map(|&n| n as i64).collect::<Vec<_>>())
        };
        let with = |name, value: &Value| {
            let mut attrs = attrs.to_vec();
            attrs.push((name, sizes(value)));
            attrs
        };
        let by_input = build("conv_input_gradient", &with("input_shape", &grads[0]));
        check_bilinear(by_input, &g, &kernel);
        let by_kernel = build("conv_kernel_gradient", &with("kernel_shape", &kernel));
        check_bilinear(by_kernel, &x, &g);
    }
}

#[test]
fn a_transposed_convolution_is_adjoint_and_as_long_as_keras_makes_it() {
    // (kernel, stride, padding, output padding) -> length, from 5 positions
    for (k, s, padding, more, expected) in [
        (3, 2, "valid", None, 11),
        (3, 2, "same", None, 10),
        (2, 3, "valid", None, 15),
        (3, 2, "valid", Some(1), 12),
        (3, 2, "same", Some(1), 10),
        (4, 2, "same", Some(0), 8),
        (4, 2, "same", None, 10),
    ] {
        let mut attrs = vec![
            ("strides", attr_ints(&[s])),
            ("padding", Attr::Str(padding)),
        ];
        if let Some(more) = more {
            attrs.push(("output_padding", attr_ints(&[more])));
        }
        let op = build("conv_transpose", &attrs);
        let (x, kernel) = (value(&[2, 5, 3], 1), value(&[k, 4, 3], 2));
        let y = apply(op.clone(), &[&x, &kernel]).unwrap().remove(0);
        assert_eq!(y.shape(), &Shape::from([2, expected, 4]), "{op:?}");
        check_bilinear(op, &x, &kernel);
    }
}

#[test]
fn a_transposed_convolution_starts_where_keras_starts_it() {
    // One item through a kernel of 1, 2, 3, 4 shows where its tap 0 falls.
    for (more, expected) in [
        (None, [2.0, 3.0, 4.0, 0.0]),
        (Some(0), [3.0, 4.0, 0.0, 0.0]),
        (Some(1), [2.0, 3.0, 4.0, 0.0]),
    ] {
        let mut attrs = vec![("strides", attr_ints(&[2])), ("padding", Attr::Str("same"))];
        if let Some(more) = more {
            attrs.push(("output_padding", attr_ints(&[more])));
        }
        let op = build("conv_transpose", &attrs);
        let tensor =
            |data: &[f64], shape: &[usize]| Value::concrete(Tensor::from_slice(data, shape));
        let x = tensor(&[1.0, 0.0, 0.0], &[1, 3, 1]);
        let kernel = tensor(&[1.0, 2.0, 3.0, 4.0], &[4, 1, 1]);
        let y = apply(op, &[&x, &kernel]).unwrap().remove(0);
        assert_eq!(
            y.require().unwrap().as_slice::<f64>()[..4],
            expected,
            "{more:?}"
        );
    }
}

#[test]
fn the_gradient_passes_bias_and_activation() {
    let attrs = [
        ("strides", attr_ints(&[1])),
        ("activation", Attr::Str("relu")),
    ];
    let built = build("conv", &attrs);
    for residual in [false, true] {
        let conv = built.downcast::<Conv>().unwrap().clone();
        let op: Arc<dyn Op> = Arc::new(Conv { residual, ..conv });
        // Kernels that are points take a residual.
        let size = if residual { 1 } else { 2 };
        let mut inputs = vec![value(&[2, 6, 3], 1), value(&[size, 3, 4], 2)];
        inputs.extend(residual.then(|| value(&[2, 6, 4], 5)));
        inputs.push(value(&[4], 3));
        let y = apply(op.clone(), &inputs.iter().collect::<Vec<_>>())
            .unwrap()
            .remove(0);
        let g = like(&y, 4);
        let grads = gradients(&op, &inputs, std::slice::from_ref(&y), &g);
        // The gradient where the activation let it through, and its sums.
        let (y, g) = (y.require().unwrap(), g.require().unwrap());
        let items = y.as_slice::<f64>().iter().zip(g.as_slice::<f64>());
        let passed: Vec<f64> = items
            .map(|(&y, &g)| if y > 0.0 { g } else { 0.0 })
            .collect();
        let mut expected = [0.0; 4];
        for (i, g) in passed.iter().enumerate() {
            expected[i % 4] += g;
        }
        let [.., bias] = &grads[..] else {
            panic!("no gradients")
        };
        assert_eq!(bias.require().unwrap().as_slice::<f64>(), &expected);
        if residual {
            assert_eq!(grads[2].require().unwrap().as_slice::<f64>(), passed);
        }
    }
}

#[test]
fn every_dtype_convolves() {
    let op = build("conv", &[("strides", attr_ints(&[1]))]);
    for dtype in DType::ALL {
        let zeros = |shape: &[usize]| Value::concrete(Tensor::zeros(dtype, shape).unwrap());
        let result = apply(
            op.clone(),
            &[&zeros(&[1, 4, 2]), &zeros(&[2, 2, 3]), &zeros(&[3])],
        );
        assert_eq!(result.is_ok(), dtype != DType::Bool, "{dtype}");
    }
}

#[test]
fn unknown_sizes_are_as_the_kernels_compute_them() {
    let n = Dim::symbol(Symbol(0));
    let kernel = Spec::new(DType::Float32, [3, 2, 4]);
    for (stride, dilation, padding) in [
        (1, 1, "same"),
        (2, 1, "same"),
        (2, 1, "valid"),
        (3, 2, "valid"),
        (1, 2, "same"),
    ] {
        let attrs = [
            ("strides", attr_ints(&[stride])),
            ("dilation", attr_ints(&[dilation])),
            ("padding", Attr::Str(padding)),
        ];
        let op = build("conv", &attrs);
        let shape = |n: Dim| {
            [Dim::from(7), n, Dim::from(2)]
                .into_iter()
                .collect::<Shape>()
        };
        let unknown = op.infer(&[
            &Spec {
                dtype: DType::Float32,
                shape: shape(n.clone()),
            },
            &kernel,
        ]);
        let unknown = unknown.unwrap().remove(0).shape;
        for size in 5..20 {
            let bindings = Bindings([size].into_iter().collect());
            let known = Spec {
                dtype: DType::Float32,
                shape: shape(Dim::from(size)),
            };
            let known = op.infer(&[&known, &kernel]).unwrap().remove(0).shape;
            assert_eq!(unknown.eval(&bindings), known.known().unwrap());
            let x = [7, size, 2];
            let conv = op.downcast::<Conv>().unwrap();
            let Sliding {
                strides,
                padding,
                dilation,
            } = &conv.windows.sliding;
            let geometry = Geometry::new(&x, &[3, 2, 4], strides, padding, dilation, 1);
            assert_eq!(known[1], Dim::from(geometry.window.output[2]));
        }
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let op = build("conv", &[("strides", attr_ints(&[1, 1]))]);
    let infer = |x: &[usize], kernel: &[usize]| {
        let spec = |shape: &[usize]| Spec::new(DType::Float32, shape);
        op.infer(&[&spec(x), &spec(kernel)])
            .unwrap_err()
            .to_string()
    };
    assert!(infer(&[1, 5, 5], &[3, 3, 2, 4]).contains("must have 4 axes"));
    assert!(infer(&[1, 5, 5, 3], &[3, 3, 2, 4]).contains("does not fit 3 channels"));
    assert!(infer(&[1, 2, 5, 2], &[3, 3, 2, 4]).contains("does not fit into"));
}
