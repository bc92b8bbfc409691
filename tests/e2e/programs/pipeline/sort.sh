# Sorting with too little memory: many temporary files in /tmp, merged. usage: sort.sh ROUNDS
set -e
export LC_ALL=C
for round in $(seq 1 "$1"); do
  sort -S 1M --parallel=2 -k$((round % 5 + 1)),$((round % 5 + 1))n -k1,1 numbers > sorted
  mv sorted numbers
  echo "round $round: $(sed -n 1000p numbers)"
done
