# Many short processes: pipes, here documents, command substitution, background jobs, a temporary file in /tmp.
# usage: many.sh ROUNDS
set -e -o pipefail
scratch=$(mktemp)
sum=1
for ((round = 1; round <= $1; round++)); do
  word=$(echo "$sum" | sed 's/1/9/g' | tr -d '\n')
  first=$(awk -v n="$word" 'BEGIN { print (n * 7 + 13) % 1000003 }')
  sort -n > "$scratch" <<TEXT
$sum
$first
TEXT
  (read -r sum < "$scratch"; echo "$((sum + round))" >> sums.txt) &
  wait $!
  sum=$(((sum * 31 + first + $(tail -n 1 sums.txt)) % 1000003))
  if ((round % 50 == 0)); then echo "round $round: $sum"; fi
done
rm "$scratch"
