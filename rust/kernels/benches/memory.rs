//! Kernels that memory limits, as shares of the rate of a copy measured in the same run:
//! `cargo bench -p cornu-kernels --bench memory [part of a name]`.
mod measure;

use kernels::conv::{Padding, Window};
use kernels::layout::transpose;
use kernels::norm::{LayerNorm, layer_norm};
use kernels::pool::max_pool_gradient;
use kernels::pool::{Pooling, avg_pool, avg_pool_gradient, max_pool, max_pool_argmax};
use kernels::softmax::softmax;
use kernels::threads::set_num_threads;
use measure::{clock, measure};

/// Prints the rate of a call that reads and writes so many items, beside that of a copy of half as many.
fn report(name: &str, items: usize, call: impl FnMut()) {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    if filter.is_some_and(|part| !name.contains(part.as_str())) {
        return;
    }
    let from = vec![1.0_f32; items / 2];
    let mut to = vec![0.0_f32; items / 2];
    let (copy, _) = measure(clock(1), || to.copy_from_slice(&from));
    let (time, _) = measure(clock(1), call);
    println!(
        "{name:40} {:9.1} us {:6.1} GB/s of {:5.1}: {:4.2}",
        time * 1e6,
        (4 * items) as f64 / time / 1e9,
        (4 * items) as f64 / copy / 1e9,
        copy / time,
    );
}

fn main() {
    set_num_threads(1);
    println!("{:?}", simd::level());
    for [rows, columns] in [
        [256, 256],
        [1024, 1024],
        [1000, 1000],
        [3136, 64],
        [64, 3136],
    ] {
        let x = vec![1.0_f32; rows * columns];
        let mut out = vec![0.0_f32; rows * columns];
        report(&format!("transpose {rows}x{columns}"), 2 * x.len(), || {
            transpose(&x, &[rows, columns], &[1, 0], &mut out);
        });
    }
    for (side, channels, size, stride, padding) in [
        (114, 64, 3, 2, Padding::Valid),
        (56, 256, 2, 2, Padding::Valid),
        (28, 6, 2, 2, Padding::Valid),
        (128, 64, 2, 2, Padding::Valid),
        (35, 192, 3, 1, Padding::Same),
        (7, 2048, 7, 7, Padding::Valid),
    ] {
        for batch in [1, 8] {
            let pooling = Pooling {
                batch,
                channels,
                window: Window::new(&[side; 2], &[size; 2], &[stride; 2], &[1; 2], &padding),
            };
            let x: Vec<f32> = (0..pooling.x_len()).map(|i| (i % 31) as f32).collect();
            let mut out = vec![0.0_f32; pooling.out_len()];
            let mut argmax = vec![0; out.len()];
            let mut gradient = vec![0.0_f32; x.len()];
            let (once, twice) = (x.len() + out.len(), x.len() + 2 * out.len());
            let name = |what: &str| format!("{what} {batch}x{side}x{channels} {size}/{stride}");
            report(&name("max pool"), once, || max_pool(&pooling, &x, &mut out));
            report(&name("average pool"), once, || {
                avg_pool(&pooling, &x, &mut out)
            });
            report(&name("argmax pool"), twice, || {
                max_pool_argmax(&pooling, &x, &mut out, &mut argmax);
            });
            report(&name("gradient of max pool"), twice, || {
                max_pool_gradient(&pooling, &out, &argmax, &mut gradient);
            });
            report(&name("gradient of average pool"), once, || {
                avg_pool_gradient(&pooling, &out, &mut gradient);
            });
        }
    }
    for [rows, columns] in [[4096, 64], [1024, 1000]] {
        let x: Vec<f32> = (0..rows * columns).map(|i| (i % 31) as f32).collect();
        let mut out = vec![0.0_f32; x.len()];
        report(&format!("softmax {rows}x{columns}"), 2 * x.len(), || {
            softmax(&x, &mut out, columns, 1, false);
        });
    }
    let [rows, columns] = [1024, 768];
    let x: Vec<f32> = (0..rows * columns).map(|i| (i % 31) as f32).collect();
    let mut out = vec![0.0_f32; x.len()];
    let (mut mean, mut inverse) = (vec![0.0; rows], vec![0.0; rows]);
    let scale = vec![1.0; columns];
    report("layer norm 1024x768", 2 * x.len(), || {
        let norm = LayerNorm {
            n: columns,
            gamma: Some(&scale),
            beta: Some(&scale),
            rms: false,
        };
        layer_norm(norm, &x, 1e-3, &mut out, &mut mean, &mut inverse);
    });
}
