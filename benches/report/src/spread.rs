//! How values are spread.

use std::fmt;

/// The quartiles of what was measured again and again.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let [low, median, high] =
            [1, 2, 3].map(|quarter| values[((values.len() - 1) * quarter + 2) / 4]);
        Self { low, median, high }
    }

    /// Of the quotients of two values of the same round.
    pub(crate) fn of_ratios(above: &[f64], below: &[f64]) -> Self {
        Self::of(above.iter().zip(below).map(|(above, below)| above / below))
    }
}

/// The median, and the quartiles in brackets. The precision is that of each number.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = f.precision().unwrap_or(2);
        let Self { low, median, high } = self;
        write!(f, "{median:.places$} ({low:.places$} to {high:.places$})")
    }
}
