//! As much of `submit` as knows of jobs: `submits import-contacts '{"contacts": []}'`.

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let (name, body) = (next(), next());
    let limits = longhaul::Limits::new(10_000);
    let order = longhaul::request::read_for::<jobs::Jobs>(
        &name,
        "application/json",
        body.as_bytes(),
        &limits,
    );
    println!("{order:#?}");
    let listed = longhaul::describe::describe::<jobs::Jobs>();
    println!("{}", serde_json::json!(listed));
}
