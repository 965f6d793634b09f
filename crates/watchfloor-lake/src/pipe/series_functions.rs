//! Functions of series: lists of numbers, mostly made by `make-series`.

use serde_json::{Value, json};

use super::lists::list;
use super::row_functions::{Entry, Row, Texts, real};

pub(super) const ROWS: &[Entry] = &[
    (
        "series_stats",
        1,
        2,
        Row::Text(|row| stats(&numbers(row[0]?)?)),
    ),
    (
        "series_stats_dynamic",
        1,
        2,
        Row::Text(|row| named_stats(&numbers(row[0]?)?)),
    ),
    (
        "series_fit_line",
        1,
        1,
        Row::Text(|row| Some(fit(&numbers(row[0]?)?).told())),
    ),
    (
        "series_outliers",
        1,
        5,
        Row::Text(|row| Some(json!(scores(&numbers(row[0]?)?)).to_string())),
    ),
    ("series_decompose_anomalies", 1, 7, Row::Text(anomalies)),
    ("series_decompose", 1, 4, Row::Text(decomposed)),
    (
        "series_sum",
        1,
        1,
        Row::Real(|row| Some(numbers(row[0]?)?.iter().sum())),
    ),
    (
        "series_add",
        2,
        2,
        Row::Text(|row| pairwise(row, |one, two| Some(one + two))),
    ),
    (
        "series_subtract",
        2,
        2,
        Row::Text(|row| pairwise(row, |one, two| Some(one - two))),
    ),
    (
        "series_multiply",
        2,
        2,
        Row::Text(|row| pairwise(row, |one, two| Some(one * two))),
    ),
    (
        "series_divide",
        2,
        2,
        Row::Text(|row| pairwise(row, |one, two| (two != 0.0).then(|| one / two))),
    ),
    (
        "series_fill_const",
        2,
        3,
        Row::Text(|row| {
            let fill = real(row[1])?;
            let filled: Vec<f64> = sparse(row[0]?)?
                .into_iter()
                .map(|one| one.unwrap_or(fill))
                .collect();
            Some(json!(filled).to_string())
        }),
    ),
    (
        "series_fill_forward",
        1,
        2,
        Row::Text(|row| {
            let mut last = None;
            let filled: Vec<Option<f64>> = sparse(row[0]?)?
                .into_iter()
                .map(|one| {
                    last = one.or(last);
                    last
                })
                .collect();
            Some(json!(filled).to_string())
        }),
    ),
];

fn sparse(json: &str) -> Option<Vec<Option<f64>>> {
    Some(list(json)?.iter().map(Value::as_f64).collect())
}

fn numbers(json: &str) -> Option<Vec<f64>> {
    let found: Vec<f64> = sparse(json)?.into_iter().flatten().collect();
    (!found.is_empty()).then_some(found)
}

fn pairwise(row: Texts<'_>, of: fn(f64, f64) -> Option<f64>) -> Option<String> {
    let (one, two) = (sparse(row[0]?)?, sparse(row[1]?)?);
    let pairs = one.into_iter().zip(two);
    let values: Vec<Option<f64>> = pairs.map(|(one, two)| of(one?, two?)).collect();
    Some(json!(values).to_string())
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn variance(values: &[f64]) -> f64 {
    let middle = average(values);
    let squares = values.iter().map(|value| (value - middle).powi(2));
    squares.sum::<f64>() / (values.len().max(2) - 1) as f64
}

/// The least with its place, the largest with its place, average, deviation and variance.
fn extremes(values: &[f64]) -> Option<[f64; 7]> {
    let places = || values.iter().enumerate();
    let (least_at, least) = places().min_by(|one, two| one.1.total_cmp(two.1))?;
    let (most_at, most) = places().min_by(|one, two| two.1.total_cmp(one.1))?;
    let variance = variance(values);
    Some([
        *least,
        least_at as f64,
        *most,
        most_at as f64,
        average(values),
        variance.sqrt(),
        variance,
    ])
}

fn stats(values: &[f64]) -> Option<String> {
    Some(json!(extremes(values)?).to_string())
}

fn named_stats(values: &[f64]) -> Option<String> {
    let [least, least_at, most, most_at, average, deviation, variance] = extremes(values)?;
    let told = json!({
        "min": least, "min_idx": least_at, "max": most, "max_idx": most_at,
        "avg": average, "stdev": deviation, "variance": variance,
    });
    Some(told.to_string())
}

/// A straight line through a series.
struct Line {
    slope: f64,
    start: f64,
    fit: Vec<f64>,
    of: f64,
    rest: f64,
}

fn fit(values: &[f64]) -> Line {
    let places: Vec<f64> = (0..values.len()).map(|at| at as f64).collect();
    let (middle, height) = (average(&places), average(values));
    let both = places.iter().zip(values);
    let shared: f64 = both
        .map(|(at, value)| (at - middle) * (value - height))
        .sum();
    let spread: f64 = places.iter().map(|at| (at - middle).powi(2)).sum();
    let slope = if spread > 0.0 { shared / spread } else { 0.0 };
    let start = height - slope * middle;
    let fit: Vec<f64> = places.iter().map(|at| start + slope * at).collect();
    let rests: Vec<f64> = values
        .iter()
        .zip(&fit)
        .map(|(value, line)| value - line)
        .collect();
    Line {
        slope,
        start,
        fit,
        of: variance(values),
        rest: variance(&rests),
    }
}

impl Line {
    /// As Kusto tells it: how well it fits, slope, both variances, start, and the line.
    fn told(&self) -> String {
        let quality = if self.of > 0.0 {
            1.0 - self.rest / self.of
        } else {
            1.0
        };
        json!([
            quality, self.slope, self.of, self.rest, self.start, self.fit
        ])
        .to_string()
    }
}

/// The value below which a share of the values lies.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (share * (sorted.len().max(1) - 1) as f64).floor() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

/// Tukey's test with the tenths at both ends: how far a value lies outside of them; values between
/// have 0.
fn scores(values: &[f64]) -> Vec<f64> {
    let (low, high) = (quantile(values, 0.1), quantile(values, 0.9));
    let width = high - low;
    let score = |value: &f64| {
        let over = if *value > high {
            value - high
        } else if *value < low {
            value - low
        } else {
            return 0.0;
        };
        if width > 0.0 { over / width } else { over }
    };
    values.iter().map(score).collect()
}

/// The course that a series has without what is odd: its trend, and its season where the length of
/// one is told.
fn baseline(values: &[f64], season: Option<usize>, trend: &str) -> (Vec<f64>, Vec<f64>) {
    let line = match trend {
        "linefit" => fit(values).fit,
        "none" => vec![0.0; values.len()],
        _ => vec![average(values); values.len()],
    };
    let Some(season) = season.filter(|season| *season > 1 && *season * 2 <= values.len()) else {
        return (line, vec![0.0; values.len()]);
    };
    let rests: Vec<f64> = values
        .iter()
        .zip(&line)
        .map(|(value, line)| value - line)
        .collect();
    let of_phase = |phase: usize| {
        let same: Vec<f64> = rests.iter().skip(phase).step_by(season).copied().collect();
        average(&same)
    };
    let phases: Vec<f64> = (0..season).map(of_phase).collect();
    let seasonal = (0..values.len()).map(|at| phases[at % season]).collect();
    (line, seasonal)
}

fn season_of(text: Option<&str>) -> Option<usize> {
    text?
        .parse::<i64>()
        .ok()
        .and_then(|season| usize::try_from(season).ok())
}

/// Marks (1 above, -1 below, 0 else), scores and the course, for series, threshold, season, trend.
fn anomalies(row: Texts<'_>) -> Option<String> {
    let values = numbers(row[0]?)?;
    let text = |index: usize| row.get(index).copied().flatten();
    let threshold = text(1)
        .and_then(|threshold| threshold.parse().ok())
        .unwrap_or(1.5);
    let (line, seasonal) = baseline(&values, season_of(text(2)), text(3).unwrap_or("avg"));
    let course: Vec<f64> = line
        .iter()
        .zip(&seasonal)
        .map(|(line, season)| line + season)
        .collect();
    let rests: Vec<f64> = values
        .iter()
        .zip(&course)
        .map(|(value, course)| value - course)
        .collect();
    let scores = scores(&rests);
    let mark = |score: &f64| match score {
        score if *score > threshold => 1,
        score if *score < -threshold => -1,
        _ => 0,
    };
    let marks: Vec<i32> = scores.iter().map(mark).collect();
    Some(json!([marks, scores, course]).to_string())
}

/// Course, season, trend and rest of a series.
fn decomposed(row: Texts<'_>) -> Option<String> {
    let values = numbers(row[0]?)?;
    let text = |index: usize| row.get(index).copied().flatten();
    let (line, seasonal) = baseline(&values, season_of(text(1)), text(2).unwrap_or("avg"));
    let course: Vec<f64> = line
        .iter()
        .zip(&seasonal)
        .map(|(line, season)| line + season)
        .collect();
    let rests: Vec<f64> = values
        .iter()
        .zip(&course)
        .map(|(value, course)| value - course)
        .collect();
    Some(json!([course, seasonal, line, rests]).to_string())
}
