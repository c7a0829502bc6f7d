//! What fuzzing begins with, and what it has found, goes through every target.

use std::fs;
use std::path::Path;

#[test]
fn no_seed_breaks_a_promise() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = vec![here.join("../../events")];
    for (name, _) in fuzz::TARGETS {
        seeds.push(here.join("seeds").join(name));
    }
    for directory in seeds {
        let listed = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let listed: Vec<_> = listed.collect();
        assert!(!listed.is_empty(), "{}", directory.display());
        for path in listed {
            println!("{}", path.display());
            let seed = fs::read(&path).unwrap();
            // A target is no worse for another's.
            for (_, target) in fuzz::TARGETS {
                target(&seed);
            }
        }
    }
}
