//! How a figure moves with time: a straight line by least squares, and how sure it is.

use serde::Serialize;

/// By how much it grows in a unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Slope {
    pub(crate) per: f64,
    /// It is within this of the true one with a probability of 95 %.
    pub(crate) plus_minus: f64,
}

impl Slope {
    /// In a unit of time that is so many times as long.
    pub(crate) fn times(self, factor: f64) -> Slope {
        Slope { per: self.per * factor, plus_minus: self.plus_minus * factor }
    }

    /// It is at least that.
    pub(crate) fn least(self) -> f64 {
        self.per - self.plus_minus
    }
}

/// The slope of samples (time, figure); `None` if there are too few to tell.
pub(crate) fn slope(samples: &[(f64, f64)]) -> Option<Slope> {
    let count = samples.len() as f64;
    if samples.len() < 4 {
        return None;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (time, figure) = (mean(|s| s.0), mean(|s| s.1));
    let spread: f64 = samples.iter().map(|s| (s.0 - time).powi(2)).sum();
    if spread == 0.0 {
        return None;
    }
    let per = samples.iter().map(|s| (s.0 - time) * (s.1 - figure)).sum::<f64>() / spread;
    let error: f64 = samples.iter().map(|s| (s.1 - figure - per * (s.0 - time)).powi(2)).sum();
    let free = count - 2.0;
    // Student's t for 97.5 %, to a few per cent: 4.3 for two degrees of freedom, 1.96 for many.
    let student = 1.96 + 2.4 / free + 4.6 / (free * free);
    Some(Slope { per, plus_minus: student * (error / free / spread).sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_certain() {
        let samples: Vec<_> = (0..10).map(|t| (f64::from(t), 3.0 + 2.0 * f64::from(t))).collect();
        let found = slope(&samples).unwrap();
        assert!((found.per - 2.0).abs() < 1e-9 && found.plus_minus < 1e-6, "{found:?}");
        assert!((found.times(3.0).least() - 6.0).abs() < 1e-5);
    }

    #[test]
    fn noise_around_a_level_is_no_growth() {
        let samples: Vec<_> = (0..100).map(|t| (f64::from(t), if t % 3 == 0 { 5.0 } else { 5.5 })).collect();
        let found = slope(&samples).unwrap();
        assert!(found.least() < 0.0 && found.per.abs() < found.plus_minus, "{found:?}");
        assert_eq!(slope(&samples[..3]), None);
    }
}
