//! Answers from compiled policies. What they are unsure of is asked of Postgres, and so is one decision in so many for
//! comparison: where Postgres says otherwise, its word counts, for that table from then on.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Answers, Ask, Postgres, Visibility};
use crate::changes::catalog::{Access, Catalog};
use crate::changes::measures;

/// Decisions of one batch that are compared at most: a comparison takes a round trip for each audience.
const COMPARED_PER_BATCH: usize = 8;

/// Decisions after which others get their turn: evaluating takes some 100 ns each, and a batch may have millions.
const DECISIONS_AT_A_STRETCH: usize = 10_000;

/// See the module.
pub(crate) struct Shortcut {
    inner: Arc<Postgres>,
    catalog: Arc<Catalog>,
    /// One decision in so many is compared; 0: none.
    compare_every: u64,
    decisions: AtomicU64,
}

/// Where the answer of an inner question goes: the ask, and the places of its audiences.
struct Place {
    ask: usize,
    audiences: Vec<usize>,
}

/// A decision to compare.
struct Sample {
    ask: usize,
    audience: usize,
    visible: bool,
}

impl Shortcut {
    pub(crate) fn new(inner: Arc<Postgres>, catalog: Arc<Catalog>, compare_every: u64) -> Self {
        Self {
            inner,
            catalog,
            compare_every,
            decisions: AtomicU64::new(0),
        }
    }

    /// Is it the turn of a decision to be compared? The first is.
    fn is_due(&self) -> bool {
        let number = self.decisions.fetch_add(1, Ordering::Relaxed);
        number.checked_rem(self.compare_every) == Some(0)
    }

    /// Compares decisions. The policies that were wrong are not used any more; gives their ids.
    async fn compare(&self, asks: &[Ask], samples: &[Sample]) -> BTreeSet<u64> {
        let questions: Vec<(&Sample, Ask)> = samples
            .iter()
            .filter_map(|sample| Some((sample, part(asks.get(sample.ask)?, &[sample.audience]))))
            .collect();
        let (samples, questions): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
        let opinions = self.inner.opinions(&questions).await;
        let mut wrong = BTreeSet::new();
        for ((sample, question), opinion) in samples.iter().zip(&questions).zip(opinions) {
            let Access::Judged(policy) = &question.view.access else {
                continue;
            };
            // No answer is no contradiction.
            if opinion
                .first()
                .copied()
                .flatten()
                .is_none_or(|opinion| opinion == sample.visible)
            {
                continue;
            }
            policy.distrust();
            self.catalog.distrust(policy.guard.oid);
            wrong.insert(policy.id);
            measures::contradicted();
            tracing::error!(
                schema = policy.guard.schema.as_str(),
                table = policy.guard.name.as_str(),
                role = &*question.view.role,
                policy = policy.expression.as_str(),
                "Postgres decided otherwise than the compiled policy; from now on it is asked about this table. Please report this"
            );
        }
        wrong
    }
}

/// The ask for some of its audiences.
fn part(ask: &Ask, audiences: &[usize]) -> Ask {
    let chosen = audiences
        .iter()
        .filter_map(|place| ask.audiences.get(*place));
    Ask {
        view: ask.view.clone(),
        image: ask.image.clone(),
        audiences: chosen.cloned().collect(),
    }
}

impl Visibility for Shortcut {
    fn judge(&self, asks: Vec<Ask>) -> Pin<Box<dyn Future<Output = Answers> + Send + '_>> {
        Box::pin(async move {
            let mut answers: Answers = Vec::with_capacity(asks.len());
            let mut places: Vec<Place> = Vec::new();
            let mut samples: Vec<Sample> = Vec::new();
            let mut decided: Vec<(u64, usize)> = Vec::new();
            let (mut decisions, mut stretch) = (0, 0);
            for (number, ask) in asks.iter().enumerate() {
                if stretch > DECISIONS_AT_A_STRETCH {
                    stretch = 0;
                    tokio::task::yield_now().await;
                }
                let mut answer = vec![false; ask.audiences.len()];
                let compiled = match &ask.view.access {
                    Access::Judged(policy) => policy.compiled().map(|compiled| (policy, compiled)),
                    Access::Open | Access::Closed(_) => None,
                };
                let mut unsure = Vec::new();
                match compiled {
                    None => unsure.extend(0..ask.audiences.len()),
                    Some((policy, compiled)) => {
                        let columns = compiled.columns(&policy.guard, &ask.image);
                        for (place, audience) in ask.audiences.iter().enumerate() {
                            let bound = audience.bound(policy.id, compiled);
                            let Ok(visible) = compiled.sees(&bound, &columns) else {
                                unsure.push(place);
                                continue;
                            };
                            if let Some(slot) = answer.get_mut(place) {
                                *slot = visible;
                            }
                            if self.is_due() && samples.len() < COMPARED_PER_BATCH {
                                samples.push(Sample {
                                    ask: number,
                                    audience: place,
                                    visible,
                                });
                            }
                        }
                        decided.push((policy.id, number));
                        decisions += ask.audiences.len() - unsure.len();
                        stretch += ask.audiences.len();
                    }
                }
                if !unsure.is_empty() {
                    places.push(Place {
                        ask: number,
                        audiences: unsure,
                    });
                }
                answers.push(answer);
            }
            measures::compiled(decisions);
            if !samples.is_empty() {
                let wrong = self.compare(&asks, &samples).await;
                // Nothing that a policy which was wrong said in this batch counts.
                for (policy, number) in decided {
                    if wrong.contains(&policy) {
                        places.retain(|place| place.ask != number);
                        let audiences = asks.get(number).map_or(0, |ask| ask.audiences.len());
                        places.push(Place {
                            ask: number,
                            audiences: (0..audiences).collect(),
                        });
                    }
                }
            }
            if places.is_empty() {
                return answers;
            }
            let questions = places
                .iter()
                .filter_map(|place| Some(part(asks.get(place.ask)?, &place.audiences)))
                .collect();
            for (place, found) in places.iter().zip(self.inner.judge(questions).await) {
                for (audience, visible) in place.audiences.iter().zip(found) {
                    if let Some(slot) = answers
                        .get_mut(place.ask)
                        .and_then(|answer| answer.get_mut(*audience))
                    {
                        *slot = visible;
                    }
                }
            }
            answers
        })
    }
}
