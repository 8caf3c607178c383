//! What a training script needs: `use onestep::prelude::*`.

pub use onestep_data::{
    Column, CsvOptions, DataError, DataLoader, DataSplits, Dataset, Field, Fields, ImageOptions,
    InMemory, Normalise, Pipeline, RandomCrop, RandomHorizontalFlip, Role, SampleMut, SampleRng,
    SimpleDataset, Split, Subset, TargetMut, TargetSpec, Transform, cifar10, csv_file, digits,
    image_folder, mnist, open, read_picture, split,
};
pub use onestep_engine::{
    Engine, EngineError, Executor, Feeds, Footprint, Graph, GraphError, Mode, Named, Program,
    Scalars, StateTable, StepCounters, Ticket, Value,
};
pub use onestep_layers::{
    BatchNorm, Branch, BuildContext, Conv2d, Custom, CustomLoss, Dense, Fan, GeluForm, Initializer,
    Layer, LayerError, LayerSpec, Loss, LossSpec, LossValues, MaxPool2d, Model, ModelBuilder,
    ModelSpec, Padding, Pair, Registry,
};
pub use onestep_memory::{DType, Element, MemoryError, MemoryManager, Shape, Tensor, format_bytes};
pub use onestep_optimizer::{
    Adagrad, Adam, AdamW, Averaging, Clip, Ema, GroupLeaves, GroupOptions, Grouping, Horizon, Lion,
    Muon, Optimizer, OptimizerError, OptimizerSpec, RmsProp, Schedule, ScheduleSpec, Selector, Sgd,
    StateKind, Swa, UpdateRule, Updated,
};
pub use onestep_trainer::{
    BestCheckpoint, Callback, Checkpoints, ConfusionMatrix, CurvePlot, EarlyStopping,
    EarlyStoppingConfig, EpochRecord, ExecutorOptions, Flow, History, Learner, Metric, MetricSpec,
    Metrics, MetricsCsv, MetricsJson, Monitor, Progress, ProgressEvent, RunView, StepEvent, TopK,
    Trainer, TrainerBuilder, TrainerConfig, TrainerError, TrainingProgram, Weights, devices,
    executor, factory,
};
