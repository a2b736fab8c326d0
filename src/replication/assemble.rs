//! From messages of the stream to events for the consumer. Pure.
//!
//! Remembers what the stream says once and refers to later (relations), leaves out transactions without anything in
//! them, and after a reconnect to the same slot goes on inside the transaction that was cut off, so that no change is
//! handed over twice.

use std::sync::Arc;

use ahash::AHashMap;

use super::DDL_PREFIX;
use super::event::{Change, Event, GapReason, Row};
use crate::pgoutput::{Begin, Commit, LogicalMessage, Lsn, Message, Relation};

#[derive(Default)]
pub(super) struct Assembler {
    relations: AHashMap<u32, Arc<Relation>>,
    transaction: Option<Transaction>,
    /// The transaction the last connection was lost in.
    cut_off: Option<Transaction>,
}

/// A transaction of which not everything has come yet.
struct Transaction {
    begin: Begin,
    /// The consumer has been told that it began.
    announced: bool,
    /// Parts the consumer has been given.
    handed: u64,
    /// Parts still to be left out, because the consumer had them before the connection was lost.
    repeated: u64,
    /// Publications were created, dropped or altered in it.
    publications: bool,
}

/// What a message meant besides its events.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    Nothing,
    /// A transaction is complete.
    Commit {
        /// Where it ends.
        end: Lsn,
        /// The consumer was told about it.
        handed: bool,
        /// It created, dropped or altered publications.
        publications: bool,
    },
}

impl Assembler {
    /// The stream starts again, `same_slot`: where it stopped.
    pub(super) fn restart(&mut self, same_slot: bool) {
        self.relations.clear();
        if let Some(mut open) = self.transaction.take() {
            // Cut off again before the repetition was over.
            open.handed += open.repeated;
            self.cut_off = Some(open);
        }
        self.cut_off = self.cut_off.take().filter(|cut| same_slot && cut.announced);
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Takes one message and appends what it means for the consumer to `events`.
    pub(super) fn accept(&mut self, message: Message, events: &mut Vec<Event>) -> Meaning {
        match message {
            Message::Begin(begin) => self.begin(begin),
            Message::Commit(commit) => return self.commit(commit, events),
            Message::Relation(relation) => {
                let relation = Arc::new(relation);
                self.relations.insert(relation.oid, Arc::clone(&relation));
                events.push(Event::Relation(relation));
            }
            Message::Insert(insert) => {
                let row = Row::Insert { new: insert.new };
                self.change(insert.relation, row, events);
            }
            Message::Update(update) => {
                let row = Row::Update {
                    old: update.old,
                    new: update.new,
                };
                self.change(update.relation, row, events);
            }
            Message::Delete(delete) => {
                let row = Row::Delete { old: delete.old };
                self.change(delete.relation, row, events);
            }
            Message::Truncate(truncate) => {
                let relations = truncate
                    .relations
                    .iter()
                    .filter_map(|oid| self.relations.get(oid).cloned())
                    .collect();
                self.hand(Event::Truncate(relations), events);
            }
            Message::Message(message) => self.logical(message, events),
            Message::Origin(_) | Message::Type(_) => {}
        }
        Meaning::Nothing
    }

    /// A part of the stream cannot be read and is left out.
    pub(super) fn skipped(&mut self, events: &mut Vec<Event>) {
        let reason = GapReason::MessageSkipped;
        self.hand(Event::Gap { reason }, events);
    }

    fn begin(&mut self, begin: Begin) {
        let resumed = self
            .cut_off
            .take()
            .filter(|cut| cut.begin.final_lsn == begin.final_lsn && cut.begin.xid == begin.xid);
        self.transaction = Some(Transaction {
            begin,
            announced: resumed.is_some(),
            handed: 0,
            repeated: resumed.map_or(0, |cut| cut.handed),
            publications: false,
        });
    }

    fn commit(&mut self, commit: Commit, events: &mut Vec<Event>) -> Meaning {
        let done = self.transaction.take();
        let handed = done.as_ref().is_some_and(|done| done.announced);
        if handed {
            events.push(Event::Commit(commit));
        }
        Meaning::Commit {
            end: commit.end_lsn,
            handed,
            publications: done.is_some_and(|done| done.publications),
        }
    }

    fn change(&mut self, relation: u32, row: Row, events: &mut Vec<Event>) {
        match self.relations.get(&relation) {
            Some(relation) => {
                let relation = Arc::clone(relation);
                self.hand(Event::Change(Change { relation, row }), events);
            }
            None => self.skipped(events),
        }
    }

    fn logical(&mut self, message: LogicalMessage, events: &mut Vec<Event>) {
        if let Some(transaction) = &mut self.transaction {
            transaction.publications |=
                &*message.prefix == DDL_PREFIX && concerns_publications(&message.content);
        }
        if message.transactional {
            self.hand(Event::Message(message), events);
        } else {
            // Comes in the order of the log, not of commits, also between the changes of a transaction that is
            // longer: never part of one.
            events.push(Event::Message(message));
        }
    }

    /// Hands over a part of the transaction, unless the consumer has it already.
    fn hand(&mut self, event: Event, events: &mut Vec<Event>) {
        if let Some(transaction) = &mut self.transaction {
            transaction.handed += 1;
            if transaction.repeated > 0 {
                transaction.repeated -= 1;
                return;
            }
            if !transaction.announced {
                transaction.announced = true;
                events.push(Event::Begin(transaction.begin));
            }
        }
        events.push(event);
    }
}

/// The event trigger writes the command's tag into its message; an empty message may mean anything.
fn concerns_publications(content: &[u8]) -> bool {
    const WORD: &[u8] = b"PUBLICATION";
    content.is_empty()
        || content
            .windows(WORD.len())
            .any(|window| window.eq_ignore_ascii_case(WORD))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pgoutput::{ReplicaIdentity, decode};

    const BEGIN: Begin = Begin {
        final_lsn: Lsn(100),
        commit_time: 0,
        xid: 7,
    };
    const COMMIT: Commit = Commit {
        commit_lsn: Lsn(100),
        end_lsn: Lsn(110),
        commit_time: 0,
    };

    fn relation() -> Message {
        Message::Relation(Relation {
            oid: 1,
            schema: "public".into(),
            name: "t".into(),
            replica_identity: ReplicaIdentity::Default,
            columns: [].into(),
        })
    }

    /// A row with one column that holds `value`.
    fn insert(value: u8) -> Message {
        let bytes = [b'I', 0, 0, 0, 1, b'N', 0, 1, b't', 0, 0, 0, 1, value];
        decode(Bytes::copy_from_slice(&bytes)).unwrap()
    }

    fn emitted(transactional: bool, content: &'static [u8]) -> Message {
        Message::Message(LogicalMessage {
            transactional,
            lsn: Lsn(90),
            prefix: DDL_PREFIX.into(),
            content: Bytes::from_static(content),
        })
    }

    /// Feeds the messages and says in letters what came out.
    fn feed(assembler: &mut Assembler, messages: impl IntoIterator<Item = Message>) -> String {
        let mut events = Vec::new();
        for message in messages {
            assembler.accept(message, &mut events);
        }
        events
            .iter()
            .map(|event| match event {
                Event::Begin(_) => 'B',
                Event::Commit(_) => 'C',
                Event::Relation(_) => 'R',
                Event::Message(_) => 'M',
                Event::Gap { .. } => 'G',
                Event::Change(Change {
                    row: Row::Insert { new },
                    ..
                }) => char::from(*new.share(0).unwrap().first().unwrap()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_transaction_without_anything_in_it_is_not_reported() {
        let mut assembler = Assembler::default();
        let mut events = Vec::new();
        assembler.accept(Message::Begin(BEGIN), &mut events);
        let meaning = assembler.accept(Message::Commit(COMMIT), &mut events);
        assert!(events.is_empty());
        assert_eq!(
            meaning,
            Meaning::Commit {
                end: Lsn(110),
                handed: false,
                publications: false
            }
        );
    }

    #[test]
    fn a_transaction_cut_off_goes_on_where_it_stopped_on_the_same_slot() {
        let mut assembler = Assembler::default();
        let seen = feed(
            &mut assembler,
            [
                Message::Begin(BEGIN),
                relation(),
                insert(b'1'),
                insert(b'2'),
            ],
        );
        assert_eq!(seen, "RB12");
        // Cut off twice, the second time before the repetition is over.
        assembler.restart(true);
        let seen = feed(
            &mut assembler,
            [Message::Begin(BEGIN), relation(), insert(b'1')],
        );
        assert_eq!(seen, "R");
        assembler.restart(true);
        let all = [b'1', b'2', b'3'].map(insert);
        let seen = feed(
            &mut assembler,
            [Message::Begin(BEGIN), relation()]
                .into_iter()
                .chain(all)
                .chain([Message::Commit(COMMIT)]),
        );
        assert_eq!(seen, "R3C");
    }

    #[test]
    fn a_transaction_cut_off_is_void_on_a_new_slot() {
        let mut assembler = Assembler::default();
        feed(
            &mut assembler,
            [Message::Begin(BEGIN), relation(), insert(b'1')],
        );
        assembler.restart(false);
        let seen = feed(
            &mut assembler,
            [
                Message::Begin(BEGIN),
                relation(),
                insert(b'1'),
                Message::Commit(COMMIT),
            ],
        );
        assert_eq!(seen, "RB1C");
    }

    #[test]
    fn a_row_of_an_unknown_relation_is_a_gap_and_not_a_guess() {
        let mut assembler = Assembler::default();
        let seen = feed(
            &mut assembler,
            [Message::Begin(BEGIN), insert(b'1'), Message::Commit(COMMIT)],
        );
        assert_eq!(seen, "BGC");
    }

    #[test]
    fn the_commit_of_a_command_on_publications_says_so() {
        for (content, expected) in [
            (&br#"{"tag":"CREATE PUBLICATION"}"#[..], true),
            (b"drop publication", true),
            (b"", true),
            (b"CREATE TABLE", false),
        ] {
            let mut assembler = Assembler::default();
            let mut events = Vec::new();
            assembler.accept(Message::Begin(BEGIN), &mut events);
            assembler.accept(emitted(true, content), &mut events);
            let meaning = assembler.accept(Message::Commit(COMMIT), &mut events);
            assert_eq!(
                meaning,
                Meaning::Commit {
                    end: Lsn(110),
                    handed: true,
                    publications: expected
                }
            );
        }
    }

    #[test]
    fn a_message_outside_of_transactions_is_handed_over_at_once() {
        let mut assembler = Assembler::default();
        assert_eq!(feed(&mut assembler, [emitted(false, b"x")]), "M");
        assert!(!assembler.in_transaction());
    }
}
