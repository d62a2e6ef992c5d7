//! Texts like those of a newsroom, from a seed: sentences of common and rare words, names, figures and some Markdown.
//! No sense is made, but lengths, repetitions and thus compression are like those of English news.

use serde_json::{Value, json};

/// Spread of the lengths: two thirds lie between 0.55 and 1.8 times the median.
const LENGTH_SIGMA: f64 = 0.6;
/// No text is longer, however the dice fall.
const LENGTH_BYTES_MAX: usize = 60_000;
/// Dates of an archive go back this far.
const ARCHIVE_S: u64 = 5 * 365 * 86_400;

const COMMON: &str = "the of to and a in that is was for on it with as his be at by had not are but from or have an \
    they which one you were all her she there would their we him been has when who will no more if out so up said \
    what its about than into them can only other time new some could these two may first then do any like my now \
    over such our man me even most made after also did many off before must well back through years where much your \
    way down should because long each just state those people too mr how little good world make very year still see \
    work life men between never under last while another know us own great old day against take came since go few";

const STEMS: &str = "govern minist parlia econom trade invest export import market price bank budget tax reform law \
    court judge police crime army border treaty summit council region city village river bridge railway road port \
    ship plane satellit orbit rocket launch science research univers student teach school medic hospital doctor \
    vaccin patient health climat energy oil gas coal solar wind power plant factor steel grain harvest farm water \
    flood storm quake fire rescue team player coach match league season record medal champion film music theatre \
    festival museum paint writer book library history monument church temple tour travel hotel visit culture languag \
    network software comput data secur attack defend protect inspect measur report announc declar confirm deny \
    propos approv reject sign vote elect campaign party leader presid deputy chair member union worker strike wage \
    pension family child women youth citizen refuge migrat passport visa embass ambassad delegat negotiat agree \
    disput conflict cease peace war weapon missil test sanction fund loan debt credit profit loss share stock compan \
    contract tender project design build construct repair renew expand reduc increas rise fall grow develop";

const ENDINGS: [&str; 12] = ["", "s", "ed", "ing", "er", "ers", "ation", "al", "ment", "ity", "ive", "ly"];

const SYLLABLES: &str = "ka ro mi shan do vel tur an bek zha lin pet ro va sko gor mar chen li wei fer nan dez ol ga \
    ibra him sul tan kim pak sin gh ra jan ta ni ku ma re no vi si bir sk al ma ty bish kek du shan be";

/// Names and words that an article of ours repeats; with so many, 2 KiB of it compress about as far as 2 KiB of real news.
const TOPIC_WORDS: usize = 30;

const TAGS: &str = "budget transport energy space schools health trade climate sport courts culture harvest";

/// What is written, and how long it is.
pub(crate) struct Texts {
    pub(crate) seed: u64,
    pub(crate) bytes_median: usize,
}

impl Texts {
    /// Article `number`, the same for the same seed, as the API takes it.
    pub(crate) fn article(&self, number: usize, category: &str) -> Value {
        let mut dice = Dice::of(self.seed, number);
        let words = Words::about(&mut dice);
        let length = (self.bytes_median as f64 * (LENGTH_SIGMA * dice.normal()).exp()) as usize;
        let length = length.clamp(100, LENGTH_BYTES_MAX);
        let title_words = 5 + dice.below(6);
        let mut body = String::with_capacity(length + 400);
        while body.len() < length {
            words.paragraph(&mut dice, &mut body);
        }
        let tags: Vec<&str> = (0..dice.below(4)).map(|_| words.tags[dice.below(words.tags.len())]).collect();
        json!({
            "title": words.sentence(&mut dice, title_words).trim_end_matches('.'),
            "summary": words.sentence(&mut dice, 18),
            "body_markdown": body.trim_end(),
            "categories": [category],
            "authors": [format!("{} {}", words.name(&mut dice), words.name(&mut dice))],
            "tags": tags,
        })
    }
}

/// How long before now article `number` of an archive was published, in seconds.
pub(crate) fn ago_s(seed: u64, number: usize) -> i64 {
    let seconds = Dice::of(!seed, number).next() % ARCHIVE_S;
    i64::try_from(seconds).unwrap_or_default() + 60
}

struct Words {
    common: Vec<&'static str>,
    stems: Vec<&'static str>,
    syllables: Vec<&'static str>,
    tags: Vec<&'static str>,
    /// What this article is about; these words come again and again.
    topic: Vec<String>,
}

impl Words {
    fn about(dice: &mut Dice) -> Self {
        let split = |text: &'static str| text.split_whitespace().collect();
        let mut words = Words {
            common: split(COMMON),
            stems: split(STEMS),
            syllables: split(SYLLABLES),
            tags: split(TAGS),
            topic: Vec::new(),
        };
        words.topic = (0..TOPIC_WORDS).map(|number| words.rare(dice, number % 4 == 0)).collect();
        words
    }

    fn paragraph(&self, dice: &mut Dice, out: &mut String) {
        match dice.below(12) {
            0 => out.push_str(&format!("## {}\n\n", self.sentence(dice, 5).trim_end_matches('.'))),
            1 => (0..3).for_each(|_| out.push_str(&format!("- {}\n", self.sentence(dice, 9)))),
            _ => {}
        }
        for _ in 0..2 + dice.below(4) {
            let words = 8 + dice.below(18);
            out.push_str(&self.sentence(dice, words));
            out.push(' ');
        }
        out.push_str("\n\n");
    }

    fn sentence(&self, dice: &mut Dice, words: usize) -> String {
        let mut out = String::new();
        for number in 0..words {
            let word = self.word(dice);
            match (number, dice.below(60)) {
                (0, _) => out.extend(word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1))),
                (_, 0) => out.push_str(&format!(" **{word}**")),
                (_, 1) => out.push_str(&format!(" [{word}](https://news.example/{}/{word})", 2_000 + dice.below(30))),
                (_, 2..=6) => out.push_str(&format!(", {word}")),
                _ => out.push_str(&format!(" {word}")),
            }
        }
        out.push('.');
        out
    }

    fn word(&self, dice: &mut Dice) -> String {
        match dice.below(100) {
            0..46 => self.common[dice.early(self.common.len())].to_owned(),
            46..76 => self.topic[dice.early(self.topic.len())].clone(),
            76..97 => {
                let is_name = dice.below(8) == 0;
                self.rare(dice, is_name)
            }
            _ => dice.below(10_000).to_string(),
        }
    }

    fn rare(&self, dice: &mut Dice, is_name: bool) -> String {
        match is_name {
            true => self.name(dice),
            false => format!("{}{}", self.stems[dice.early(self.stems.len())], ENDINGS[dice.early(ENDINGS.len())]),
        }
    }

    fn name(&self, dice: &mut Dice) -> String {
        let name: String = (0..2 + dice.below(2)).map(|_| self.syllables[dice.below(self.syllables.len())]).collect();
        name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect()
    }
}

/// A row of numbers that is the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn of(seed: u64, number: usize) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number as u64);
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 0.
    fn share(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// As [`Dice::below`], the early ones far oftener than the late ones, as words are in a language.
    fn early(&mut self, end: usize) -> usize {
        ((end as f64 * self.share().powf(1.6)) as usize).min(end - 1)
    }

    /// Mean 0, deviation 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        (-2.0 * self.share().ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos()
    }
}
