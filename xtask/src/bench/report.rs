//! What a part of the bench reports that is a program of its own.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use figures::Section;

use crate::process;

/// The sections that a program prints.
pub(crate) fn sections_of(program: &mut Command) -> Result<Vec<Section>> {
    let said = process::capture(program, |_| {})?;
    let described = process::describe(program);
    ensure!(
        said.status.success(),
        "{described} failed:\n{}",
        process::tail(&said.stderr, 20)
    );
    serde_json::from_str(&said.stdout).with_context(|| format!("{described} printed no sections"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_prints_sections() -> Result<()> {
        let json = r#"[{"title": "A", "rows": [{"name": "b", "value": 3, "unit": "calls"}]}]"#;
        let mut expected = Section::new("A");
        expected.count("b", 3.0, "calls");
        assert_eq!(sections_of(Command::new("echo").arg(json))?, [expected]);
        assert!(sections_of(Command::new("echo").arg("three")).is_err());
        assert!(sections_of(&mut Command::new("false")).is_err());
        Ok(())
    }
}
