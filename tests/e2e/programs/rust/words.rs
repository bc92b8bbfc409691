// A tree of words that grows and shrinks, with a file rewritten in place. usage: words ROUNDS
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

fn main() {
    let rounds: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let (mut tree, mut queue) = (BTreeMap::new(), VecDeque::new());
    let mut lengths: HashMap<usize, u64> = HashMap::new(); // its order is random: only sums may show
    let mut state: u64 = 88172645463325252;
    let mut file = File::create("latest.txt").unwrap();
    for round in 0..rounds {
        for _ in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let word = format!("{:x}", state >> (state % 40));
            *lengths.entry(word.len()).or_insert(0) += 1;
            *tree.entry(word.clone()).or_insert(0u64) += state % 1000;
            queue.push_back(word);
            if queue.len() > 400_000 {
                tree.remove(&queue.pop_front().unwrap());
            }
        }
        file.seek(SeekFrom::Start(0)).unwrap();
        writeln!(file, "{:10} {:10} {:?}", round, tree.len(), tree.iter().next().unwrap()).unwrap();
        if round % 10 == 0 {
            println!("round {}: {} words", round, tree.len());
        }
    }
    let sum: u64 = tree.values().sum();
    let total: u64 = lengths.values().sum();
    println!("{} words, {} {}", tree.len(), sum, total);
}
