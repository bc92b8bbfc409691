# A table that grows, with text of the input as its keys. usage: awk -v rounds=N -f table.awk numbers
{
  line[NR] = $0
}
END {
  for (round = 1; round <= rounds; round++) {
    for (i = 1; i <= NR; i += 7) {
      n = split(line[i], field, " ")
      key = field[1 + (round + i) % n] % 5000
      count[key " " round % 50] += length(line[i])
      total = (total * 31 + count[key " " round % 50]) % 1000000007
    }
    print round, total >> "totals.txt"
    if (round % 10 == 0) print "round", round
  }
  for (key in count) size++
  print size, total
}
