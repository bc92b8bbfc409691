# Three children compute parts and write lines into a pipe each; the parent merges them in order. usage: children.pl STEPS
use strict;
use warnings;
my @pipes;
for my $part (0 .. 2) {
  pipe(my $reader, my $writer) or die "pipe: $!";
  my $pid = fork() // die "fork: $!";
  if ($pid == 0) {
    close $reader;
    $writer->autoflush(1);
    my $state = 99 + $part;
    for my $step (1 .. $ARGV[0]) {
      $state = ($state * 69069 + $step) % 4294967296 for 1 .. 1000;
      print $writer "$part $step $state\n";
    }
    exit $part;
  }
  close $writer;
  push @pipes, [$pid, $reader];
}
open(my $merged, '>>', 'merged.txt') or die "merged.txt: $!";
for my $step (1 .. $ARGV[0]) {
  for my $pipe (@pipes) {
    my $reader = $pipe->[1];
    my $line = <$reader> // die "a child has ended early";
    print $merged $line;
  }
  print "step $step\n" if $step % 1000 == 0;
}
for my $pipe (@pipes) {
  waitpid($pipe->[0], 0);
  print "child ended with ", $? >> 8, "\n";
}
