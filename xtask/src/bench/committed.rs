//! The figures of `docs/benchmarks.md`: read, compared with, and written anew.
//!
//! A section's table stands under a heading with the section's title, and looks like this:
//!
//! ```text
//! | figure | value | unit | goal |
//! |---|---|---|---|
//! | status: warm | 666,012 | instructions | ≤ 700,000 |
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use figures::{Goal, Kind, Row, Section, number};

const HEAD: &str = "| figure | value | unit | goal |";

/// A counted figure that differs by more has changed.
const TOLERANCE: f64 = 0.03;

/// The figures of the page, by section, name and unit.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Committed(BTreeMap<(String, String, String), f64>);

/// How a figure compares with the committed one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    /// There is none.
    New,
    /// By this part of the committed one, which is what such figures do.
    Same(f64),
    /// By this part of the committed one.
    Different(f64),
}

impl Committed {
    pub(crate) fn read(page: &str) -> Result<Self> {
        let mut figures = BTreeMap::new();
        let (mut title, mut is_table) = ("", false);
        for line in page.lines() {
            if let Some(heading) = line.strip_prefix('#') {
                title = heading.trim_start_matches('#').trim();
            }
            is_table = line == HEAD || is_table && line.starts_with('|');
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            if !is_table || line == HEAD || line.starts_with("|---") {
                continue;
            }
            let value = cells
                .get(2)
                .and_then(|cell| cell.replace(',', "").parse().ok());
            let value = value.with_context(|| format!("no figure: {line}"))?;
            let unit = cells.get(3).copied().unwrap_or_default();
            figures.insert(
                (title.to_owned(), cells[1].to_owned(), unit.to_owned()),
                value,
            );
        }
        Ok(Self(figures))
    }

    /// How a figure of the section of this title differs from the committed one.
    pub(crate) fn change(&self, title: &str, row: &Row) -> Change {
        let Some(&before) = self
            .0
            .get(&(title.to_owned(), row.name.clone(), row.unit.clone()))
        else {
            return Change::New;
        };
        // As it would be committed.
        let now = number(row.value)
            .replace(',', "")
            .parse()
            .unwrap_or(row.value);
        let difference: f64 = now - before;
        let change = if difference == 0.0 {
            0.0
        } else {
            difference / before.abs()
        };
        if change.abs() > TOLERANCE && row.kind == Kind::Count {
            Change::Different(change)
        } else {
            Change::Same(change)
        }
    }

    /// The committed figures of a section that this one does not have.
    pub(crate) fn missing<'a>(&'a self, section: &'a Section) -> impl Iterator<Item = &'a str> {
        let is_there = |name: &str, unit: &str| {
            let mut rows = section.rows.iter();
            rows.any(|row| row.name == name && row.unit == unit)
        };
        let of_section = self.0.keys().filter(|key| key.0 == section.title);
        let missing = of_section.filter(move |(_, name, unit)| !is_there(name, unit));
        missing.map(|(_, name, _)| name.as_str())
    }
}

/// The page with the figures of these sections instead of its own. A section that is new comes last.
pub(crate) fn rewritten(page: &str, sections: &[Section]) -> String {
    let mut page = page.to_owned();
    for section in sections.iter().filter(|section| !section.rows.is_empty()) {
        let heading = format!("## {}\n", section.title);
        let table = table(section);
        let Some(start) = page.find(&heading).map(|at| at + heading.len()) else {
            let _ = write!(page, "\n{heading}\n{table}");
            continue;
        };
        let end = page[start..]
            .find("\n## ")
            .map_or(page.len(), |at| start + at + 1);
        let body = &page[start..end];
        let replaced = match body.find(HEAD) {
            Some(at) => {
                let old = body[at..].split_inclusive('\n');
                let old: usize = old
                    .take_while(|line| line.starts_with('|'))
                    .map(str::len)
                    .sum();
                format!("{}{table}{}", &body[..at], &body[at + old..])
            }
            None => format!("{}\n\n{table}\n", body.trim_end()),
        };
        page.replace_range(start..end, &replaced);
    }
    page
}

fn table(section: &Section) -> String {
    let mut table = format!("{HEAD}\n|---|---|---|---|\n");
    for row in &section.rows {
        let goal = row.goal.map(Goal::show).unwrap_or_default();
        let value = number(row.value);
        let _ = writeln!(table, "| {} | {value} | {} | {goal} |", row.name, row.unit);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::Places;

    fn section(title: &str, value: f64) -> Section {
        let mut section = Section::new(title);
        section.count("counted", value, "calls").at_most(16.0);
        section.time("timed", value, "calls").at_most(16.0);
        section
    }

    const PAGE: &str =
        "# Page\n\n## First\n\nWords.\n\n    command\n\nMore words.\n\n## Second\n\nOther words.\n";

    #[test]
    fn what_is_written_is_read_and_what_stands_around_it_stays() -> Result<()> {
        let written = rewritten(PAGE, &[section("First", 1000.0), section("Third", 2.5)]);
        let again = rewritten(&written, &[section("First", 2000.0)]);
        for page in [&written, &again] {
            for words in ["Words.", "    command", "More words.", "Other words.\n"] {
                assert_eq!(page.matches(words).count(), 1, "{page}");
            }
            assert_eq!(page.matches(HEAD).count(), 2, "{page}");
        }
        let of = |value: f64| {
            Committed::read(&again).map(|it| it.change("First", &section("", value).rows[0]))
        };
        assert_eq!(of(2000.0)?, Change::Same(0.0));
        assert_eq!(of(2050.0)?, Change::Same(0.025));
        assert_eq!(of(2100.0)?, Change::Different(0.05));
        let timed = &section("", 5.0).rows[1];
        assert_eq!(
            Committed::read(&again)?.change("Third", timed),
            Change::Same(1.0)
        );
        assert_eq!(
            Committed::read(&again)?.change("Second", timed),
            Change::New
        );
        Ok(())
    }

    #[test]
    fn a_figure_that_is_gone_is_missed() -> Result<()> {
        let committed = Committed::read(&rewritten(PAGE, &[section("First", 1.0)]))?;
        let mut now = section("First", 1.0);
        now.rows.pop();
        now.rows[0].unit = "reads".to_owned();
        assert_eq!(
            committed.missing(&now).collect::<Vec<_>>(),
            ["counted", "timed"]
        );
        assert_eq!(committed.change("First", &now.rows[0]), Change::New);
        Ok(())
    }

    #[test]
    fn the_figures_of_the_page_are_read() -> Result<()> {
        let page = std::fs::read_to_string(Places::find(None)?.benchmarks())?;
        let committed = Committed::read(&page)?;
        assert!(!committed.0.is_empty());
        Ok(())
    }
}
