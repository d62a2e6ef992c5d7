//! The dialogue of messages: in turn, streamed, or in chunks, as the server offers it.
//!
//! | server offers | what is written at once | round trips a message |
//! |---|---|---|
//! | nothing | each command, then the message | 4 |
//! | PIPELINING (RFC 2920) | a message with the envelope of the next | 1 |
//! | and CHUNKING (RFC 3030) | envelopes and messages, one behind the other | none |

use super::Line;
use super::offers::Lies;
use super::outgoing::Outgoing;
use super::reply::{Hoped, Reply};
use crate::services::mailer::outcome::{CLOSING, Failure, Outcome, Stage};
use crate::services::mailer::plan::Ready;

/// What is written ahead of replies in one go; the replies to it fit the buffer of any socket, so both sides never
/// wait for each other to read.
const AHEAD_BYTES_MAX: usize = 256 << 10;
/// Most envelopes are shorter.
const ENVELOPE_BYTES: usize = 256;

/// Where a message came to a bad end.
struct Broken {
    stage: Stage,
    failure: Failure,
    /// May its end have reached the server?
    sent_whole: bool,
    /// Was something before it in the same write answered? Then the server has lost what was sent ahead.
    is_ahead: bool,
}

/// Talks `messages` through; fewer outcomes than messages where the connection breaks.
pub(super) async fn exchange(line: &mut Line, messages: &[Ready]) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(messages.len());
    let mut rest = messages;
    while let Some((first, others)) = rest.split_first()
        && !line.is_broken
    {
        if let Some(outcome) = line.refuse(first) {
            outcomes.push(outcome);
            rest = others;
            continue;
        }
        // What the server cannot carry is not sent, and ends a row.
        let fitting = rest.iter().take_while(|message| line.refuse(message).is_none()).count();
        let (row, behind) = rest.split_at(fitting);
        let done = if line.offers.pipelining && !line.offers.chunking {
            line.streamed(row).await
        } else if line.offers.pipelining && line.is_worn {
            line.chunks(row).await
        } else {
            // A first message shows that commands sent ahead arrive, before more messages are staked on it.
            vec![line.in_turn(first).await]
        };
        rest = if done.len() < row.len() && !line.is_broken { rest.split_at(done.len()).1 } else { behind };
        outcomes.extend(done);
    }
    outcomes
}

impl Line {
    /// Says no for the server, where it has said beforehand what it does not take.
    fn refuse(&self, message: &Ready) -> Option<Outcome> {
        let refused = |reply: String| Some(Outcome::Rejected { reply, verdict: None });
        let bytes = message.data.length() as u64;
        if let Some(max) = self.offers.size_max.filter(|max| bytes > *max) {
            return refused(format!("552 5.3.4 a message of {bytes} bytes, and the server takes {max}; not sent"));
        }
        if !message.to.is_ascii() && !self.offers.smtp_utf8 {
            return refused("553 5.6.7 the server does not offer SMTPUTF8, which this address needs; not sent".into());
        }
        None
    }

    /// MAIL and RCPT, behind RSET where the server is still with a message that came to a bad end, and whether there is
    /// an RSET.
    fn envelope(&mut self, message: &Ready) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(ENVELOPE_BYTES);
        let is_reset = std::mem::take(&mut self.is_half_way);
        if is_reset {
            out.extend(b"RSET\r\n");
        }
        out.extend(b"MAIL FROM:<");
        out.extend(message.from.as_bytes());
        out.push(b'>');
        if self.offers.size {
            out.extend(b" SIZE=");
            out.extend(message.data.length().to_string().as_bytes());
        }
        if self.offers.eight_bit && !message.data.is_ascii() {
            out.extend(b" BODY=8BITMIME");
        }
        if !message.to.is_ascii() {
            out.extend(b" SMTPUTF8");
        }
        out.extend(b"\r\nRCPT TO:<");
        out.extend(message.to.as_bytes());
        out.extend(b">\r\n");
        (out, is_reset)
    }

    /// One message, waiting for each reply.
    async fn in_turn(&mut self, message: &Ready) -> Outcome {
        let (envelope, is_reset) = self.envelope(message);
        let result = async {
            if self.offers.pipelining {
                self.wire.write(&envelope, self.limits.step).await;
                self.hear_envelope(is_reset, false).await??;
            } else {
                let mut stages = [Stage::Mail, Stage::Rcpt].into_iter();
                for command in envelope.split_inclusive(|byte| *byte == b'\n') {
                    self.wire.write(command, self.limits.step).await;
                    let stage = if command == b"RSET\r\n" { Stage::Mail } else { stages.next().unwrap_or(Stage::Rcpt) };
                    self.hear(stage, Hoped::Done, false).await?;
                }
            }
            let mut out = Outgoing::new();
            if self.offers.chunking {
                out.put_chunk(&message.data);
            } else {
                self.wire.write(b"DATA\r\n", self.limits.step).await;
                self.hear(Stage::Data, Hoped::Message, false).await?;
                out.put_body(&message.data);
            }
            let gone = self.wire.write_parts(out.slices(), self.limits.step).await;
            self.hear_end(gone >= out.length(), false).await
        };
        let result = result.await;
        self.judge(message, result)
    }

    /// Each message with the envelope of the next, and one wait between.
    async fn streamed(&mut self, messages: &[Ready]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut out = Outgoing::new();
        // What is written and not answered yet: its message, where it ends, and its outcome if that is known.
        let mut open: Option<(&Ready, usize, Option<Outcome>)> = None;
        for next in messages.iter().map(Some).chain([None]) {
            let is_reset = match next {
                Some(next) => {
                    let (mut envelope, is_reset) = self.envelope(next);
                    envelope.extend(b"DATA\r\n");
                    out.say(envelope);
                    is_reset
                }
                None => false,
            };
            if out.length() == 0 {
                break;
            }
            let gone = self.wire.write_parts(out.slices(), self.limits.step).await;
            if let Some((message, end, known)) = open.take() {
                let result = self.hear_end(gone >= end, next.is_some()).await;
                outcomes.push(match known {
                    // The lone dot after a refused envelope: whatever is said to it, that message was refused.
                    Some(known) => {
                        self.is_broken |= result.is_err_and(|broken| broken.is_final());
                        known
                    }
                    None => self.judge(message, result),
                });
            }
            let Some(next) = next.filter(|_| !self.is_broken) else { break };
            out = Outgoing::new();
            let is_answered = !outcomes.is_empty();
            let (refused, data) = match self.hear_envelope(is_reset, is_answered).await {
                Ok(Ok(())) => (None, self.hear(Stage::Data, Hoped::Message, true).await),
                Ok(Err(refused)) => (Some(refused), self.hear(Stage::Data, Hoped::Message, true).await),
                Err(broken) => {
                    outcomes.push(self.judge(next, Err(broken)));
                    break;
                }
            };
            let is_data_open = data.is_ok();
            let known = match (refused, data) {
                (None, Ok(_)) => None,
                (None, Err(broken)) => Some(self.judge(next, Err(broken))),
                (Some(refused), data) => {
                    self.is_broken |= data.is_err_and(|broken| broken.is_final());
                    Some(self.judge(next, Err(refused)))
                }
            };
            match known {
                None => {
                    out.put_body(&next.data);
                    open = Some((next, out.length(), None));
                }
                // The server goes on with a sender that it has refused: to say nothing more is the only safe thing.
                Some(known) if is_data_open && !self.is_half_way => {
                    self.is_broken = true;
                    outcomes.push(known);
                }
                // As RFC 2920 §3.1 has it: a lone dot ends the message that goes to nobody.
                Some(known) if is_data_open && !self.is_broken => {
                    self.is_half_way = false;
                    out.say(&b".\r\n"[..]);
                    open = Some((next, out.length(), Some(known)));
                }
                Some(known) => outcomes.push(known),
            }
            if self.is_broken {
                break;
            }
        }
        outcomes
    }

    /// Envelopes and messages without any wait; then all the replies.
    async fn chunks(&mut self, messages: &[Ready]) -> Vec<Outcome> {
        let mut out = Outgoing::new();
        let mut ends = Vec::new();
        let mut is_reset = false;
        for message in messages {
            if out.length() > 0 && out.length() + message.data.length() > AHEAD_BYTES_MAX {
                break;
            }
            let (envelope, has_reset) = self.envelope(message);
            is_reset |= has_reset;
            out.say(envelope);
            out.put_chunk(&message.data);
            ends.push(out.length());
        }
        let gone = self.wire.write_parts(out.slices(), self.limits.step).await;
        let mut outcomes = Vec::with_capacity(ends.len());
        let mut has_failed = false;
        for (number, (message, end)) in messages.iter().zip(&ends).enumerate() {
            let whole = gone >= *end;
            let envelope = self.hear_envelope(is_reset && number == 0, number > 0).await;
            let end = match &envelope {
                Ok(_) => self.hear_end(whole, true).await,
                Err(_) => Ok(Reply { code: 0, text: String::new() }),
            };
            let result = match (envelope, end) {
                // Its end was sent before anybody could know that the envelope would not be answered.
                (Err(broken), _) => Err(Broken { sent_whole: whole, ..broken }),
                (Ok(Err(refused)), Err(broken)) if broken.is_final() => {
                    self.is_broken = true;
                    Err(refused)
                }
                // The server took it for a sender that it had refused, or did not: nobody can tell.
                (Ok(Err(Broken { stage: Stage::Mail, .. })), Ok(taken)) => {
                    let failure = Failure::Lost(format!("an answer out of turn: {}", taken.words()));
                    Err(Broken { stage: Stage::Body, failure, sent_whole: whole, is_ahead: true })
                }
                (Ok(Err(refused)), Ok(_) | Err(_)) => Err(refused),
                (Ok(Ok(())), end) => end,
            };
            let is_told_to_wait = matches!(&result, Err(Broken { failure: Failure::Reply { code: 503, .. }, .. }));
            if has_failed && is_told_to_wait {
                // The server is still with the refused message before: this one is not to blame.
                outcomes.push(Outcome::not_begun());
                self.is_half_way = true;
            } else {
                has_failed |= result.is_err();
                outcomes.push(self.judge(message, result));
            }
            if self.is_broken {
                // Of the others the end may have gone out as well, and nothing was heard.
                let others = ends.iter().skip(number + 1);
                outcomes.extend(others.map(|end| if gone >= *end { Outcome::Doubtful } else { Outcome::not_begun() }));
                break;
            }
        }
        outcomes
    }

    /// The replies to RSET, MAIL and RCPT, which were written at once; `is_answered` if something written before them
    /// in the same go was answered. Outer error: the connection is of no more use. Inner: the server says no.
    async fn hear_envelope(&mut self, is_reset: bool, is_answered: bool) -> Result<Result<(), Broken>, Broken> {
        let mut refused = Ok(());
        let mut is_ahead = is_answered;
        let stages = is_reset.then_some(Stage::Mail).into_iter().chain([Stage::Mail, Stage::Rcpt]);
        for stage in stages {
            match self.hear(stage, Hoped::Done, is_ahead).await {
                Ok(_) => {}
                Err(broken) if broken.is_final() => return Err(broken),
                // What follows from the first refusal tells nothing more.
                Err(broken) => refused = refused.and(Err(broken)),
            }
            is_ahead = true;
        }
        Ok(refused)
    }

    async fn hear(&mut self, stage: Stage, hoped: Hoped, is_ahead: bool) -> Result<Reply, Broken> {
        let heard = self.wire.reply(self.limits.step).await.and_then(|reply| reply.expect(hoped));
        heard.map_err(|failure| Broken { stage, failure, sent_whole: false, is_ahead })
    }

    async fn hear_end(&mut self, sent_whole: bool, is_ahead: bool) -> Result<Reply, Broken> {
        let heard = self.wire.reply(self.limits.end).await.and_then(|reply| reply.expect(Hoped::Done));
        match heard {
            // It cannot have taken what it did not get.
            Ok(reply) if !sent_whole => {
                let failure = Failure::Lost(format!("an answer out of turn: {}", reply.words()));
                Err(Broken { stage: Stage::Body, failure, sent_whole, is_ahead })
            }
            Ok(reply) => Ok(reply),
            Err(failure) => Err(Broken { stage: Stage::Body, failure, sent_whole, is_ahead }),
        }
    }

    /// What the end of a message's dialogue means for it and for the connection.
    fn judge(&mut self, message: &Ready, result: Result<Reply, Broken>) -> Outcome {
        let was_worn = self.is_worn;
        let broken = match result {
            Ok(reply) => {
                self.is_worn = true;
                return Outcome::accepted(&reply.words());
            }
            Err(broken) => broken,
        };
        if let Some(lie) = self.lie(message, &broken) {
            self.lies = self.lies.with(lie);
            self.is_broken = true;
            return Outcome::of(&broken.failure, broken.stage, broken.sent_whole, true).blaming_the_line();
        }
        self.is_broken |= broken.is_final();
        if !self.is_broken {
            self.is_worn = true;
            self.is_half_way = matches!(broken.stage, Stage::Rcpt | Stage::Data);
        }
        Outcome::of(&broken.failure, broken.stage, broken.sent_whole, was_worn)
    }

    /// The offer that was not kept, if that is what went wrong: then the next connection does without.
    fn lie(&self, message: &Ready, broken: &Broken) -> Option<Lies> {
        let is_parameter_sent = self.offers.size || self.offers.eight_bit && !message.data.is_ascii();
        match (&broken.failure, broken.stage) {
            (Failure::Reply { code: 500..=502 | 504 | 555, .. }, Stage::Mail) if is_parameter_sent => {
                Some(Lies { parameters: true, ..Lies::default() })
            }
            (Failure::Reply { code: 500..=504, .. }, Stage::Body) if self.offers.chunking => {
                Some(Lies { chunking: true, ..Lies::default() })
            }
            (Failure::Silent | Failure::Lost(_), Stage::Mail | Stage::Rcpt | Stage::Data)
                if broken.is_ahead && broken.is_out_of_step() =>
            {
                Some(Lies { pipelining: true, chunking: true, ..Lies::default() })
            }
            (Failure::Reply { .. } | Failure::Silent | Failure::Lost(_), _) => None,
        }
    }
}

impl Broken {
    /// Does the connection end with it?
    fn is_final(&self) -> bool {
        match &self.failure {
            Failure::Reply { code, .. } => *code == CLOSING,
            Failure::Lost(_) | Failure::Silent => true,
        }
    }

    /// Does the server speak, but not of what it was told?
    fn is_out_of_step(&self) -> bool {
        match &self.failure {
            Failure::Silent => true,
            Failure::Lost(why) => why.starts_with("an answer out of turn"),
            Failure::Reply { .. } => false,
        }
    }
}
