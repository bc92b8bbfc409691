# Words from a generator, counted in a hash that grows; a table at the end. usage: words.pl STEPS
use strict;
use warnings;
my ($state, %count) = (12345);
open(my $progress, '>', 'progress.txt') or die "progress.txt: $!";
for my $step (1 .. $ARGV[0]) {
  $state = ($state * 1103515245 + 12345) % 2147483648;
  my $word = join '', map { chr(97 + ($state >> $_) % 13) } (8, 13, 18, 23);
  $count{$word} += $step % 7;
  print $progress "$step $word\n" if $step % 100_000 == 0;
}
open(my $table, '>', 'table.txt') or die "table.txt: $!";
print $table "$_ $count{$_}\n" for sort keys %count;
print scalar(keys %count), " words\n";
