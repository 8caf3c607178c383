//! Measures kernels through whole steps: products and convolutions in GFLOP/s, fused kernels in
//! GB/s. Run with `--release`; arguments set the number of threads, which kernels (`fused`, `matmul`,
//! `conv` or `all`), and an instruction set in place of the best one (such as `avx2`).

use std::time::Instant;

use onestep_backend_cpu::{CpuExecutor, CpuOptions, Level};
use onestep_engine::ops::{ConvWindow, PoolWindow};
use onestep_engine::{DType, Executor, Feeds, Graph, Named, Program, Scalars};
use onestep_engine::{GraphError, StateLayout, StateTable, Value};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
type Built = std::result::Result<Value, GraphError>;

/// The instruction set of the third argument.
fn level() -> Result<Option<Level>> {
    let Some(name) = std::env::args().nth(3) else { return Ok(None) };
    let found = Level::available().find(|level| level.to_string() == name);
    let names: Vec<String> = Level::available().map(|level| level.to_string()).collect();
    let unknown = || format!("no instruction set `{name}`; this machine has {}", names.join(", "));
    Ok(Some(found.ok_or_else(unknown)?))
}

/// Median milliseconds of a program that computes one value.
fn measure(threads: Option<usize>, build: impl Fn(&mut Graph) -> Built) -> Result<f64> {
    let mut g = Graph::new();
    let y = build(&mut g)?;
    let inputs: Vec<_> =
        g.leaves(onestep_engine::ops::LeafKind::Input).map(|(_, v)| g.type_of(v).clone()).collect();
    let program = Program::predict(g, vec![Named::new("y", y)]);
    let level = level()?;
    let mut executor = CpuExecutor::new(CpuOptions { threads, level, ..CpuOptions::default() })?;
    let layout = StateLayout::new(&program.groups, &[], None)?;
    let state = StateTable::new(layout, executor.memory())?;
    let mut step = executor.compile(&program, &state)?;
    let mut feeds = Vec::new();
    for ty in inputs {
        let count = ty.shape.elements();
        feeds.push(match ty.dtype {
            DType::I32 => executor.memory().from_slice(ty.shape, &vec![1i32; count])?,
            _ => {
                let data: Vec<f32> = (0..count).map(|i| (i % 97) as f32 * 0.01 - 0.4).collect();
                executor.memory().from_slice(ty.shape, &data)?
            }
        });
    }
    let scalars = Scalars::new(1);
    let mut once = || -> Result<f64> {
        let start = Instant::now();
        step.submit(Feeds::new(&feeds), &scalars)?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let first = once()?.max(once()?);
    let count = ((400.0 / first) as usize).clamp(5, 3000);
    let mut times = (0..count).map(|_| once()).collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn products(threads: Option<usize>) -> Result<()> {
    for (m, k, n) in [
        (64, 784, 256),
        (128, 256, 128),
        (16, 65536, 128),
        (32, 65536, 128),
        (65536, 32, 128),
        (256, 256, 256),
        (1024, 1024, 1024),
        (2048, 2048, 2048),
        (64, 128, 10),
    ] {
        for (ta, tb) in [(false, false), (true, false), (false, true)] {
            let ms = measure(threads, |g| {
                let a = g.input("a", &if ta { [k, m] } else { [m, k] }, DType::F32)?;
                let b = g.input("b", &if tb { [n, k] } else { [k, n] }, DType::F32)?;
                g.matmul_with(a, b, ta, tb)
            })?;
            let gflops = 2.0 * (m * k * n) as f64 / ms / 1e6;
            println!("matmul {m}x{k}x{n} transposed {ta} {tb}: {ms:.4} ms {gflops:.1} GFLOP/s");
        }
    }
    Ok(())
}

fn convolutions(threads: Option<usize>) -> Result<()> {
    for (n, c, hw, o, kernel, stride, pad) in [
        (32, 3, 32, 8, 3, 1, 1),
        (64, 3, 32, 32, 3, 1, 1),
        (64, 32, 16, 64, 3, 1, 1),
        (64, 3, 64, 32, 5, 1, 2),
        (64, 32, 64, 64, 3, 2, 1),
        (32, 64, 32, 64, 3, 1, 1),
        (32, 64, 32, 128, 3, 2, 1),
        (32, 128, 16, 256, 3, 2, 1),
        (32, 256, 8, 512, 3, 2, 1),
        (32, 64, 32, 128, 1, 2, 0),
        (32, 128, 16, 128, 3, 1, 1),
        (32, 256, 8, 256, 3, 1, 1),
        (32, 512, 4, 512, 3, 1, 1),
        (2, 64, 112, 64, 3, 1, 1),
        (32, 256, 14, 64, 1, 1, 0),
        (64, 8, 8, 16, 3, 1, 1),
    ] {
        let window = ConvWindow {
            stride: [stride; 2],
            pad_low: [pad; 2],
            pad_high: [pad; 2],
            ..ConvWindow::default()
        };
        let out = (hw + 2 * pad - kernel) / stride + 1;
        let (x, w, y) = ([n, c, hw, hw], [o, c, kernel, kernel], [n, o, out, out]);
        let flops = 2.0 * (n * o * out * out * c * kernel * kernel) as f64;
        let mut line = format!("conv {x:?} {w:?} stride {stride}:");
        for kind in 0..3 {
            let ms = measure(threads, |g| {
                let shape = |dims: &[usize]| onestep_engine::Shape::new(dims);
                match kind {
                    0 => {
                        let (x, w) = (g.input("x", &x, DType::F32)?, g.input("w", &w, DType::F32)?);
                        g.conv(x, w, window)
                    }
                    1 => {
                        let (y, w) = (g.input("y", &y, DType::F32)?, g.input("w", &w, DType::F32)?);
                        g.conv_input_grad(y, w, window, &shape(&x)?)
                    }
                    _ => {
                        let (x, y) = (g.input("x", &x, DType::F32)?, g.input("y", &y, DType::F32)?);
                        g.conv_weight_grad(x, y, window, &shape(&w)?)
                    }
                }
            })?;
            let name = ["forward", "dx", "dw"][kind];
            line += &format!(" {name} {ms:.3} ms {:.1} GFLOP/s;", flops / ms / 1e6);
        }
        println!("{line}");
    }
    Ok(())
}

fn fused(threads: Option<usize>) -> Result<()> {
    let n = 1 << 20;
    let dims = [64, 64, 16, 16];
    let bytes = 4.0 * n as f64;
    type Case = (&'static str, f64, fn(&mut Graph, Value) -> Built);
    let cases: [Case; 13] = [
        ("relu", 2.0, |g, x| g.relu(x)),
        ("gelu (erf)", 2.0, |g, x| {
            let scaled = g.scale(x, std::f32::consts::FRAC_1_SQRT_2)?;
            let erf = g.erf(scaled)?;
            let one = g.offset(erf, 1.0)?;
            let half = g.scale(x, 0.5)?;
            g.mul(half, one)
        }),
        ("tanh", 2.0, |g, x| g.tanh(x)),
        ("exp", 2.0, |g, x| g.exp(x)),
        ("sum", 1.0, |g, x| g.sum_all(x)),
        ("sum over channels' pixels", 1.0, |g, x| g.sum(x, &[0, 2, 3], true)),
        ("sum of rows", 1.0, |g, x| {
            let x = g.reshape(x, &[4096, 256])?;
            g.sum(x, &[1], true)
        }),
        ("sum of columns", 1.0, |g, x| {
            let x = g.reshape(x, &[4096, 256])?;
            g.sum(x, &[0], true)
        }),
        ("bias and relu on channels", 2.0, |g, x| {
            let b = g.input("b", &[64, 1, 1], DType::F32)?;
            let y = g.add(x, b)?;
            g.relu(y)
        }),
        ("bias on 16 columns", 2.0, |g, x| {
            let x = g.reshape(x, &[65536, 16])?;
            let b = g.input("b", &[16], DType::F32)?;
            g.add(x, b)
        }),
        ("transpose", 2.0, |g, x| {
            let x = g.reshape(x, &[1024, 1024])?;
            let y = g.permute(x, &[1, 0])?;
            g.relu(y)
        }),
        ("dropout", 2.0, |g, x| {
            let u = g.random_uniform(&[64, 64, 16, 16])?;
            let p = g.constant(0.3)?;
            let mask = g.ge(u, p)?;
            g.mul(x, mask)
        }),
        ("softmax of 1024 rows", 2.0, |g, x| {
            let x = g.reshape(x, &[1024, 1024])?;
            g.softmax(x, 1)
        }),
    ];
    for (name, passes, build) in cases {
        let ms = measure(threads, |g| {
            let x = g.input("x", &dims, DType::F32)?;
            build(g, x)
        })?;
        println!("{name}: {ms:.4} ms {:.1} GB/s", passes * bytes / ms / 1e6);
    }
    let window = PoolWindow {
        size: [2; 2],
        stride: [2; 2],
        pad_low: [0; 2],
        pad_high: [0; 2],
        dilation: [1; 2],
    };
    let ms = measure(threads, |g| {
        let x = g.input("x", &dims, DType::F32)?;
        g.max_pool(x, window)
    })?;
    println!("max pool: {ms:.4} ms {:.1} GB/s", 1.25 * bytes / ms / 1e6);
    let ms = measure(threads, |g| {
        let x = g.input("x", &dims, DType::F32)?;
        let dy = g.input("dy", &[64, 64, 8, 8], DType::F32)?;
        let op = onestep_engine::ops::MaxPoolGrad { window };
        g.push(onestep_engine::ops::Op::MaxPoolGrad(op), &[x, dy])
    })?;
    println!("max pool gradient: {ms:.4} ms {:.1} GB/s", 2.25 * bytes / ms / 1e6);
    Ok(())
}

fn main() -> Result<()> {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let only = std::env::args().nth(2).unwrap_or_else(|| "all".to_owned());
    if only == "all" || only == "fused" {
        fused(threads)?;
    }
    if only == "all" || only == "matmul" {
        products(threads)?;
    }
    if only == "all" || only == "conv" {
        convolutions(threads)?;
    }
    Ok(())
}
