//! From measured numbers to a verdict, or to none: numbers that do not agree with each other prove nothing.

use serde::Serialize;

/// One thing measured several times, in rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Samples(pub(crate) Vec<f64>);

impl Samples {
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// From the smallest to the largest, as a share of the mean.
    pub(crate) fn spread(&self) -> f64 {
        let largest = self.0.iter().copied().fold(f64::MIN, f64::max);
        let smallest = self.0.iter().copied().fold(f64::MAX, f64::min);
        if self.0.len() < 2 { 0.0 } else { (largest - smallest) / self.mean() }
    }
}

/// What was measured: a number, or one beside another that was measured in the same rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) ours: Samples,
    pub(crate) base: Option<Samples>,
}

impl Figure {
    /// The mean, or the ratio of the means.
    pub(crate) fn value(&self) -> f64 {
        self.ours.mean() / self.base.as_ref().map_or(1.0, Samples::mean)
    }

    /// The value of each round by itself.
    fn rounds(&self) -> Vec<f64> {
        match &self.base {
            Some(base) => self.ours.0.iter().zip(&base.0).map(|(ours, base)| ours / base).collect(),
            None => self.ours.0.clone(),
        }
    }

    /// The larger spread of the two.
    pub(crate) fn spread(&self) -> f64 {
        self.ours.spread().max(self.base.as_ref().map_or(0.0, Samples::spread))
    }
}

/// What a figure ought to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) enum Target {
    AtMost { required: f64, goal: Option<f64> },
    AtLeast { required: f64 },
}

impl Target {
    pub(crate) fn at_most(required: f64) -> Target {
        Target::AtMost { required, goal: None }
    }

    /// Is this value good enough?
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Target::AtMost { required, .. } => value <= required,
            Target::AtLeast { required } => value >= required,
        }
    }

    fn reaches_goal(self, value: f64) -> bool {
        matches!(self, Target::AtMost { goal: Some(goal), .. } if value <= goal)
    }
}

/// What may be said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) enum Verdict {
    /// Better than required: as good as was hoped.
    Goal,
    Pass,
    Fail,
    /// Too noisy, and why.
    NoClaim(String),
    /// There is no target.
    Told,
    /// Not measured, and why.
    NotRun(String),
}

/// Judge. `noise`: the spread past which nothing is claimed.
pub(crate) fn judge(figure: &Figure, target: Option<Target>, noise: f64) -> Verdict {
    let Some(target) = target else { return Verdict::Told };
    let rounds = figure.rounds();
    if rounds.len() < 2 {
        return Verdict::NoClaim("one round proves nothing".to_owned());
    }
    if rounds.iter().any(|value| !value.is_finite()) {
        return Verdict::NoClaim("a round found no number".to_owned());
    }
    let spread = figure.spread();
    if spread > noise {
        return Verdict::NoClaim(format!("runs spread by {:.0} %, over {:.0} %", spread * 100.0, noise * 100.0));
    }
    let met = rounds.iter().filter(|value| target.is_met(**value)).count();
    if met != 0 && met != rounds.len() {
        return Verdict::NoClaim(format!("{met} of {} rounds meet the target", rounds.len()));
    }
    match figure.value() {
        value if !target.is_met(value) => Verdict::Fail,
        value if target.reaches_goal(value) => Verdict::Goal,
        _ => Verdict::Pass,
    }
}
