// Threads that sieve segments and send their counts over a channel; the sums go into a file in order. usage: sieve SEGMENTS
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::{mpsc, Arc};
use std::thread;

const SEGMENT: u64 = 2_000_000;

fn small_primes(limit: u64) -> Vec<u64> {
    (2..limit).filter(|n| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0)).collect()
}

fn count(segment: u64, primes: &[u64]) -> u64 {
    let start = segment * SEGMENT;
    let mut composite = vec![false; SEGMENT as usize];
    for p in primes {
        let mut at = std::cmp::max(p * p, (start + p - 1) / p * p);
        while at < start + SEGMENT {
            composite[(at - start) as usize] = true;
            at += p;
        }
    }
    composite.iter().enumerate().filter(|(i, c)| !**c && start + *i as u64 >= 2).count() as u64
}

fn main() {
    let segments: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let primes = Arc::new(small_primes(43_000));
    let (sender, receiver) = mpsc::channel();
    for worker in 0..3 {
        let (sender, primes) = (sender.clone(), primes.clone());
        thread::spawn(move || {
            for segment in (worker..segments).step_by(3) {
                sender.send((segment, count(segment, &primes))).unwrap();
            }
        });
    }
    drop(sender);
    let mut file = OpenOptions::new().create(true).append(true).open("counts.txt").unwrap();
    let (mut waiting, mut next, mut total) = (BTreeMap::new(), 0, 0);
    for (segment, number) in receiver {
        waiting.insert(segment, number);
        while let Some(number) = waiting.remove(&next) {
            total += number;
            writeln!(file, "{} {}", next, total).unwrap();
            next += 1;
        }
    }
    println!("{} primes", total);
}
