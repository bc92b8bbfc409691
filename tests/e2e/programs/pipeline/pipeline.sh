# A pipeline in a loop of bash: each round reads what the one before has written. usage: pipeline.sh ROUNDS
set -e -o pipefail
cp numbers current
for round in $(seq 1 "$1"); do
  sed 's/7/3/g; s/^\([0-9]*\) \(.*\)$/\2 \1/' current |
    awk '{ sum = 0; for (i = 1; i <= NF; i++) sum += $i; $1 = sum % 100000; print }' |
    LC_ALL=C sort -k2,2n -k1,1 > next
  mv next current
  echo "round $round: $(head -n 1 current)"
done
