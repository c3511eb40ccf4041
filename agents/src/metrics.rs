//! Metrics reported by agents during training: tags and the sink that receives the values.

/// One measured quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Name in TensorBoard and key in `metrics.jsonl`.
    pub name: &'static str,
    /// Unit of the values.
    pub unit: &'static str,
    /// Meaning, in one sentence.
    pub sentence: &'static str,
}

/// Sink for the values of an update.
pub trait Metrics {
    /// Adds a value to the mean since the last log point.
    fn add(&mut self, tag: &'static Tag, value: f64);

    /// Adds a value that is itself a mean over `count`.
    fn add_weighted(&mut self, tag: &'static Tag, value: f64, count: u64);

    /// Sets a value; the latest one counts.
    fn set(&mut self, tag: &'static Tag, value: f64);
}

/// Sink that drops every value.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullMetrics;

impl Metrics for NullMetrics {
    fn add(&mut self, _: &'static Tag, _: f64) {}

    fn add_weighted(&mut self, _: &'static Tag, _: f64, _: u64) {}

    fn set(&mut self, _: &'static Tag, _: f64) {}
}

/// Defines tags, each as a constant, and, where the first line names one, a list of them all.
#[macro_export]
macro_rules! tags {
    ($($constant:ident: $name:literal, $unit:literal, $sentence:literal;)*) => {
        $(
            #[doc = $sentence]
            pub const $constant: $crate::Tag =
                $crate::Tag { name: $name, unit: $unit, sentence: $sentence };
        )*
    };
    ($(#[$about:meta])* $list:ident; $($constant:ident: $name:literal, $unit:literal, $sentence:literal;)*) => {
        $crate::tags! { $($constant: $name, $unit, $sentence;)* }
        $(#[$about])*
        pub const $list: &[&$crate::Tag] = &[$(&$constant),*];
    };
}

/// Tags that more than one algorithm fills.
pub mod shared_tags {
    tags! {
        REWARD_CLIPPED: "train/reward_clipped", "clipped reward per agent step",
            "Mean reward as the agent learns from it, over the agent steps since the last log point.";
        GRAD_NORM: "optim/grad_norm", "none",
            "Global gradient norm before clipping, mean over the updates since the last log point.";
        DEAD_SHARE: "network/dead_share", "share of the features",
            "The torso's features that are 0 on every row of an update, mean over the updates since the last log point.";
        LEARNING_RATE: "optim/learning_rate", "none",
            "Learning rate of the last update.";
    }
}
