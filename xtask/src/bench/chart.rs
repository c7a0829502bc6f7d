//! The figures that have a goal, as a picture: how far each is from it.

use std::fmt::Write as _;

use figures::{Goal, Row, Section, number};

const LINE: usize = 20;
const LABEL: usize = 470;
const BAR: usize = 300;

/// What is longer is cut off here, as so many times the goal.
const RATIO_MAX: f64 = 2.0;

/// An SVG of bars: where one reaches the line in the middle, its figure is the goal.
pub(crate) fn svg(sections: &[Section]) -> String {
    let mut body = String::new();
    let mut line = 1;
    for section in sections {
        let rows = section.rows.iter();
        let rows: Vec<_> = rows.filter_map(|row| Some((row, row.goal?))).collect();
        if rows.is_empty() {
            continue;
        }
        let y = (line + 1) * LINE;
        let title = escaped(&section.title);
        let _ = writeln!(body, r#"<text x="10" y="{y}" class="title">{title}</text>"#);
        line += 2;
        for (row, goal) in rows {
            bar(&mut body, line * LINE, row, goal);
            line += 1;
        }
    }
    let (width, height) = (LABEL + BAR + 240, (line + 2) * LINE);
    let goal = LABEL + BAR / 2;
    let bottom = height - LINE;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">
<style>.title {{ font-weight: bold }} .met {{ fill: #2e7d32 }} .missed {{ fill: #c62828 }}</style>
<rect width="100%" height="100%" fill="white"/>
{body}<line x1="{goal}" y1="{LINE}" x2="{goal}" y2="{bottom}" stroke="#555" stroke-dasharray="4"/>
<text x="{goal}" y="14" text-anchor="middle">the goal</text>
</svg>
"##
    )
}

fn bar(body: &mut String, top: usize, row: &Row, goal: Goal) {
    let ratio = match goal {
        Goal::AtMost(bound) | Goal::AtLeast(bound) if bound > 0.0 => row.value / bound,
        // There is nothing in between none and too many.
        _ if goal.is_met_by(row.value) => 0.0,
        _ => RATIO_MAX,
    };
    let width = ratio.clamp(0.0, RATIO_MAX) / RATIO_MAX * 300.0;
    let class = if goal.is_met_by(row.value) {
        "met"
    } else {
        "missed"
    };
    let (name, unit) = (escaped(&row.name), escaped(&row.unit));
    let (value, goal) = (number(row.value), escaped(&goal.show()));
    let (text, label, figure) = (top + 14, LABEL - 10, LABEL + BAR + 10);
    let _ = writeln!(
        body,
        r#"<text x="{label}" y="{text}" text-anchor="end">{name}</text><rect class="{class}" x="{LABEL}" y="{}" width="{width:.1}" height="14"/><text x="{figure}" y="{text}">{value} {unit} ({goal})</text>"#,
        top + 3
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misses_its_goal_is_seen_and_what_has_none_is_not() {
        let mut section = Section::new("A < B");
        section.count("half", 5.0, "calls").at_most(10.0);
        section.count("none", 1.0, "calls").at_most(0.0);
        section.count("without", 1.0, "calls");
        let svg = svg(&[section]);
        assert!(svg.contains("A &lt; B") && !svg.contains("without"));
        assert!(
            svg.contains(r#"class="met" x="470" y="63" width="75.0""#),
            "{svg}"
        );
        assert!(
            svg.contains(r#"class="missed" x="470" y="83" width="300.0""#),
            "{svg}"
        );
    }
}
