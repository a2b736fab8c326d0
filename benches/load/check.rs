//! Who got what: exact counts of what was lost, doubled and delivered to the wrong socket, and how long it took.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::mark::{Mark, now};

/// What one socket has had of one class.
struct Course {
    class: u32,
    /// The number that comes next, if nothing is amiss.
    next: u64,
    /// Numbers below `next` that did not come yet, as half-open ranges.
    gaps: Vec<(u64, u64)>,
}

/// What all sockets of a run should get and got.
pub struct Check {
    /// By socket: the classes that are for it.
    courses: Vec<Vec<Course>>,
    /// By socket: where the mark was in its last message.
    places: Vec<usize>,
    /// Deliveries since the last [`Check::begin`].
    pub received: u64,
    /// Deliveries in all.
    pub whole: u64,
    /// Bytes of the messages of [`Check::received`] that came by [`Check::take`].
    pub bytes: u64,
    doubled: u64,
    wrong: u64,
    /// Microseconds from when a message was due to its receipt, since the last [`Check::begin`].
    pub latency: Histogram<u64>,
    examples: Vec<String>,
    /// When the last delivery came: microseconds of [`now`].
    pub last: u64,
}

/// The verdict on the deliveries of a run.
#[derive(Clone, Default, Debug)]
pub struct Verdict {
    pub expected: u64,
    pub received: u64,
    pub lost: u64,
    pub doubled: u64,
    pub wrong: u64,
    /// What else went wrong, and the first few examples of what is counted above.
    pub trouble: Vec<String>,
}

impl Verdict {
    /// Was everything as it should be?
    pub fn clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.wrong == 0 && self.trouble.is_empty()
    }

    /// One verdict on two runs.
    pub fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.received += other.received;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.wrong += other.wrong;
        self.trouble.extend(other.trouble.iter().cloned());
    }

    /// For the file of the scenario.
    pub fn json(&self) -> Value {
        json!({
            "clean": self.clean(), "expected": self.expected, "received": self.received, "lost": self.lost,
            "doubled": self.doubled, "wrong": self.wrong, "trouble": self.trouble,
        })
    }
}

impl Check {
    /// For sockets to each of which these classes are delivered.
    pub fn new(classes: impl IntoIterator<Item = Vec<u32>>) -> Self {
        let course = |class| Course {
            class,
            next: 0,
            gaps: Vec::new(),
        };
        let courses: Vec<Vec<_>> = classes
            .into_iter()
            .map(|classes| classes.into_iter().map(course).collect())
            .collect();
        Self {
            places: vec![0; courses.len()],
            courses,
            received: 0,
            whole: 0,
            bytes: 0,
            doubled: 0,
            wrong: 0,
            latency: Histogram::new_with_bounds(1, 600_000_000, 3).expect("valid bounds"),
            examples: Vec::new(),
            last: now(),
        }
    }

    /// Deliveries and latencies count from here on; losses since ever.
    pub fn begin(&mut self) {
        self.received = 0;
        self.bytes = 0;
        self.latency.reset();
    }

    /// A message for a socket. False when there is no mark in it.
    #[inline]
    pub fn take(&mut self, socket: usize, bytes: &[u8]) -> bool {
        let Some(mark) = Mark::find(bytes, &mut self.places[socket]) else {
            return false;
        };
        self.bytes += bytes.len() as u64;
        self.mark(socket, mark);
        true
    }

    /// A mark that a socket got.
    #[inline]
    pub fn mark(&mut self, socket: usize, mark: Mark) {
        let courses = &mut self.courses[socket];
        let Some(course) = courses.iter_mut().find(|course| course.class == mark.class) else {
            self.wrong += 1;
            return self.example("wrong", socket, mark);
        };
        if mark.number == course.next {
            course.next += 1;
        } else if mark.number > course.next {
            course.gaps.push((course.next, mark.number));
            course.next = mark.number + 1;
        } else if !course.fill(mark.number) {
            self.doubled += 1;
            return self.example("doubled", socket, mark);
        }
        self.received += 1;
        self.whole += 1;
        self.last = now();
        self.latency
            .saturating_record(self.last.saturating_sub(mark.due));
    }

    fn example(&mut self, what: &str, socket: usize, mark: Mark) {
        if self.examples.len() < 5 {
            let Mark { class, number, .. } = mark;
            self.examples.push(format!(
                "{what}: socket {socket}, class {class}, number {number}"
            ));
        }
    }

    /// How many deliveries there should be in all when `sent` says how many messages each class had.
    pub fn expected(&self, sent: impl Fn(u32) -> u64) -> u64 {
        self.courses
            .iter()
            .flatten()
            .map(|course| sent(course.class))
            .sum()
    }

    /// The verdict, given how many messages each class had.
    pub fn verdict(&self, sent: impl Fn(u32) -> u64) -> Verdict {
        let mut verdict = Verdict {
            expected: self.expected(&sent),
            received: self.whole,
            doubled: self.doubled,
            wrong: self.wrong,
            trouble: self.examples.clone(),
            ..Verdict::default()
        };
        for (socket, courses) in self.courses.iter().enumerate() {
            for course in courses {
                let sent = sent(course.class);
                let rest = (course.next < sent).then_some((course.next, sent));
                for (from, to) in course.gaps.iter().copied().chain(rest) {
                    verdict.lost += to - from;
                    if verdict.trouble.len() < 5 {
                        verdict.trouble.push(format!(
                            "lost: socket {socket}, class {}, numbers {from} to {}",
                            course.class,
                            to - 1
                        ));
                    }
                }
            }
        }
        verdict
    }

    /// A quantile of the latencies in milliseconds.
    pub fn ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

impl Course {
    /// Takes a number out of the gaps; false when it was not in one.
    fn fill(&mut self, number: u64) -> bool {
        let inside = |&(from, to): &(u64, u64)| from <= number && number < to;
        let Some(at) = self.gaps.iter().position(inside) else {
            return false;
        };
        let (from, to) = self.gaps.swap_remove(at);
        self.gaps.extend(
            [(from, number), (number + 1, to)]
                .into_iter()
                .filter(|(from, to)| from < to),
        );
        true
    }
}

/// Counts are only worth something where a loss would show. Called at each start, since a bench has no tests.
pub fn try_out() {
    let mut check = Check::new([vec![7], vec![7, 8]]);
    let mut take = |socket, class, number| {
        let mark = Mark {
            due: now(),
            class,
            number,
        };
        assert!(
            check.take(socket, mark.json(200).as_bytes()),
            "a mark is found"
        );
    };
    for number in [0, 1, 4, 3, 3] {
        take(0, 7, number);
    }
    take(1, 7, 0);
    take(1, 9, 0);
    let verdict = check.verdict(|class| if class == 7 { 6 } else { 1 });
    // Socket 0 lacks 2 and 5 and had 3 twice; socket 1 lacks 1 to 5 of class 7 and 0 of class 8, and had what it should not.
    let found = (
        verdict.expected,
        verdict.received,
        verdict.lost,
        verdict.doubled,
        verdict.wrong,
    );
    assert_eq!(found, (13, 5, 8, 1, 1), "the generator counts wrongly");
    assert!(!verdict.clean());
}
