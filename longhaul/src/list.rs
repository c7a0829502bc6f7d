//! The list of jobs that a deployment can do: a tuple of them.
//!
//! A function reaches a job by its name through a [`Visitor`], whose one generic method is compiled for each job of the
//! list: nothing here is `dyn`, so what a visitor does not call is not in the function's bootstrap. A [`JobList`] asks
//! for [`Job`] only; whoever needs [`Process`], and that is the worker, asks for a [`ProcessList`].
//!
//! That the names are good ones, and different, is checked when a function is compiled.

use crate::job::{BLOCKING_ITEMS_MAX, BODY_BYTES_LIMIT, Job, Process};
use crate::queue::JobQueues;

/// What is done with a job of a list.
///
/// ```
/// use longhaul::{Job, JobList, Visitor};
/// # use longhaul::{Invalid, Items, Limits};
/// # struct Resize;
/// # impl Job for Resize {
/// #     const NAME: &'static str = "resize";
/// #     type Request = Vec<String>;
/// #     type Shared = ();
/// #     type Input = String;
/// #     type Output = ();
/// #     fn items(pictures: Vec<String>, _: &Limits) -> Result<Items<String>, Invalid> { Ok(Items::list(pictures)) }
/// # }
///
/// #[derive(Clone)]
/// struct BodyBytesMax;
///
/// impl Visitor for BodyBytesMax {
///     type Output = usize;
///
///     fn visit<J: Job>(self) -> usize {
///         J::BODY_BYTES_MAX
///     }
/// }
///
/// type Jobs = (Resize,);
/// assert_eq!(Jobs::with("resize", BodyBytesMax), Some(2 * 1024 * 1024));
/// assert_eq!(Jobs::with("crop", BodyBytesMax), None);
/// assert_eq!(Jobs::each(BodyBytesMax).len(), 1);
/// ```
pub trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it with this job.
    fn visit<J: Job>(self) -> Self::Output;
}

/// What is done with a job of a list and the way it is processed.
pub trait ProcessVisitor {
    /// What comes of it.
    type Output;

    /// Does it with this job.
    fn visit<J: Process>(self) -> Self::Output;
}

/// Jobs, as a tuple of one to twelve: `type Jobs = (Sample, ImportContacts);`, and `(Sample,)` for one.
///
/// A list is checked when a function that uses it is compiled, and before that where [`check`] is called.
///
/// Two jobs of one name do not compile:
///
/// ```compile_fail,E0080
/// # use longhaul::{Invalid, Items, Job, Limits};
/// # struct Resize;
/// # impl Job for Resize {
/// #     const NAME: &'static str = "resize";
/// #     type Request = Vec<String>;
/// #     type Shared = ();
/// #     type Input = String;
/// #     type Output = ();
/// #     fn items(pictures: Vec<String>, _: &Limits) -> Result<Items<String>, Invalid> { Ok(Items::list(pictures)) }
/// # }
/// const _: () = longhaul::check::<(Resize, Resize)>();
/// ```
///
/// Nor does a name that the API has for itself, even if nobody calls `check`:
///
/// ```compile_fail,E0080
/// # use longhaul::{Invalid, Items, Job, JobList, Limits, Visitor};
/// # struct Tasks;
/// # impl Job for Tasks {
/// #     const NAME: &'static str = "tasks";
/// #     type Request = Vec<String>;
/// #     type Shared = ();
/// #     type Input = String;
/// #     type Output = ();
/// #     fn items(pictures: Vec<String>, _: &Limits) -> Result<Items<String>, Invalid> { Ok(Items::list(pictures)) }
/// # }
/// # #[derive(Clone)]
/// # struct Name;
/// # impl Visitor for Name {
/// #     type Output = &'static str;
/// #     fn visit<J: Job>(self) -> &'static str { J::NAME }
/// # }
/// let names = <(Tasks,)>::each(Name);
/// ```
///
/// Nor a job that has a worker of its own and does not say how many items a process of that has in flight:
///
/// ```compile_fail,E0080
/// # use longhaul::{Invalid, Items, Job, Limits};
/// # struct Resize;
/// # impl Job for Resize {
/// #     const NAME: &'static str = "resize";
/// #     const OWN_WORKER: bool = true;
/// #     type Request = Vec<String>;
/// #     type Shared = ();
/// #     type Input = String;
/// #     type Output = ();
/// #     fn items(pictures: Vec<String>, _: &Limits) -> Result<Items<String>, Invalid> { Ok(Items::list(pictures)) }
/// # }
/// const _: () = longhaul::check::<(Resize,)>();
/// ```
pub trait JobList: 'static {
    /// The jobs' names, in the order of the list.
    const NAMES: &'static [&'static str];

    /// Has the visitor visit the job of this name, if there is one.
    fn with<V: Visitor>(name: &str, visitor: V) -> Option<V::Output>;

    /// Has a copy of the visitor visit each job, in the order of the list.
    fn each<V: Visitor + Clone>(visitor: V) -> Vec<V::Output>;

    /// Fails to compile if the list is not a good one.
    #[doc(hidden)]
    const CHECKED: ();
}

/// Jobs of which it is known how they are processed. Any [`JobList`] is one whose jobs all are a [`Process`], and no
/// other:
///
/// ```compile_fail,E0277
/// # use longhaul::{Invalid, Items, Job, Limits, ProcessList};
/// # struct Resize;
/// # impl Job for Resize {
/// #     const NAME: &'static str = "resize";
/// #     type Request = Vec<String>;
/// #     type Shared = ();
/// #     type Input = String;
/// #     type Output = ();
/// #     fn items(pictures: Vec<String>, _: &Limits) -> Result<Items<String>, Invalid> { Ok(Items::list(pictures)) }
/// # }
/// fn works<Jobs: ProcessList>() {}
///
/// works::<(Resize,)>();
/// ```
pub trait ProcessList: JobList {
    /// Has a copy of the visitor visit each job, in the order of the list.
    fn each_process<V: ProcessVisitor + Clone>(visitor: V) -> Vec<V::Output>;
}

/// Checks a list where it is written, so that `cargo check` finds what is wrong with it.
///
/// ```
/// # use longhaul::{Invalid, Items, Job, Limits};
/// # struct Resize;
/// # impl Job for Resize {
/// #     const NAME: &'static str = "resize";
/// #     type Request = Vec<String>;
/// #     type Shared = ();
/// #     type Input = String;
/// #     type Output = ();
/// #     fn items(pictures: Vec<String>, _: &Limits) -> Result<Items<String>, Invalid> { Ok(Items::list(pictures)) }
/// # }
/// pub type Jobs = (Resize,);
///
/// const _: () = longhaul::check::<Jobs>();
/// ```
pub const fn check<Jobs: JobList>() {
    let () = Jobs::CHECKED;
}

/// Whether jobs have a worker of their own.
#[derive(Clone, Copy)]
pub(crate) struct HasOwnWorker;

impl Visitor for HasOwnWorker {
    type Output = bool;

    fn visit<J: Job>(self) -> bool {
        J::OWN_WORKER
    }
}

/// The names of the jobs that the deployment offers: all but those that should have a worker of their own, and have no
/// queue that leads to one.
pub(crate) fn offered<Jobs: JobList>(queues: &JobQueues) -> Vec<&'static str> {
    let named = Jobs::NAMES.iter().copied().zip(Jobs::each(HasOwnWorker));
    let offered = named.filter(|(name, has_own_worker)| !has_own_worker || queues.has(name));
    offered.map(|(name, _)| name).collect()
}

macro_rules! lists {
    ($($job:ident)*) => { lists!(@ () $($job)*); };
    (@ ($($listed:ident)*)) => { list!($($listed)*); };
    (@ ($($listed:ident)*) $next:ident $($rest:ident)*) => {
        list!($($listed)*);
        lists!(@ ($($listed)* $next) $($rest)*);
    };
}

macro_rules! list {
    () => {};
    ($($job:ident)*) => {
        impl<$($job: Job),*> JobList for ($($job,)*) {
            const NAMES: &'static [&'static str] = &[$($job::NAME),*];

            const CHECKED: () = {
                check_names(Self::NAMES);
                $(check_job::<$job>();)*
            };

            fn with<Z: Visitor>(name: &str, visitor: Z) -> Option<Z::Output> {
                const { Self::CHECKED };
                match name {
                    $(name if name == $job::NAME => Some(visitor.visit::<$job>()),)*
                    _ => None,
                }
            }

            fn each<Z: Visitor + Clone>(visitor: Z) -> Vec<Z::Output> {
                const { Self::CHECKED };
                vec![$(visitor.clone().visit::<$job>()),*]
            }
        }

        impl<$($job: Process),*> ProcessList for ($($job,)*) {
            fn each_process<Z: ProcessVisitor + Clone>(visitor: Z) -> Vec<Z::Output> {
                const { Self::CHECKED };
                vec![$(visitor.clone().visit::<$job>()),*]
            }
        }
    };
}

lists!(A B C D E F G H I J K L);

/// What stands beside the jobs' names in paths, or may come to.
const RESERVED: [&str; 8] = [
    "docs", "health", "jobs", "live", "me", "openapi", "tasks", "tickets",
];

/// So many characters may a name have: it is part of keys and of metrics' dimensions.
const NAME_LENGTH_MAX: usize = 64;

const fn check_names(names: &[&str]) {
    let mut index = 0;
    while index < names.len() {
        check_name(names[index]);
        let mut other = 0;
        while other < index {
            assert!(
                !is_same(names[index], names[other]),
                "two jobs have the same NAME"
            );
            other += 1;
        }
        index += 1;
    }
}

const fn check_name(name: &str) {
    let bytes = name.as_bytes();
    assert!(
        !bytes.is_empty() && bytes.len() <= NAME_LENGTH_MAX,
        "a job's NAME has 1 to 64 characters"
    );
    assert!(
        bytes[0].is_ascii_lowercase(),
        "a job's NAME begins with a small letter"
    );
    let mut index = 0;
    while index < bytes.len() {
        assert!(
            matches!(bytes[index], b'a'..=b'z' | b'0'..=b'9' | b'-'),
            "a job's NAME is made of small letters, digits and hyphens"
        );
        index += 1;
    }
    let mut reserved = 0;
    while reserved < RESERVED.len() {
        assert!(
            !is_same(name, RESERVED[reserved]),
            "a job's NAME is one that the API has for itself"
        );
        reserved += 1;
    }
}

const fn check_job<J: Job>() {
    assert!(J::VERSION >= 1, "a job's VERSION begins at 1");
    assert!(
        J::BODY_BYTES_MAX <= BODY_BYTES_LIMIT,
        "a job's BODY_BYTES_MAX is more than BODY_BYTES_LIMIT"
    );
    if let Some(items) = J::ITEMS_IN_FLIGHT {
        assert!(items > 0, "a job's ITEMS_IN_FLIGHT is at least 1");
        assert!(
            !J::BLOCKING || items <= BLOCKING_ITEMS_MAX,
            "a BLOCKING job's ITEMS_IN_FLIGHT is more than BLOCKING_ITEMS_MAX"
        );
    }
    assert!(
        !J::OWN_WORKER || J::ITEMS_IN_FLIGHT.is_some(),
        "a job of an OWN_WORKER says its ITEMS_IN_FLIGHT"
    );
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_are_taken_and_others_are_not() {
        let is_taken = |names: &'static [&'static str]| {
            std::panic::catch_unwind(|| check_names(names)).is_ok()
        };
        assert!(is_taken(&[
            "tuned-long-running-task",
            "import-contacts",
            "a",
            "b2"
        ]));
        let bad: [&'static [&'static str]; 9] = [
            &[""],
            &["Import"],
            &["2b"],
            &["-a"],
            &["a_b"],
            &["a/b"],
            &["tasks"],
            &["live"],
            &["a", "b", "a"],
        ];
        for names in bad {
            assert!(!is_taken(names), "{names:?}");
        }
        let longest: &'static str = "a".repeat(64).leak();
        assert!(is_taken(vec![longest].leak()));
        let longer: &'static str = "a".repeat(65).leak();
        assert!(!is_taken(vec![longer].leak()));
    }
}
