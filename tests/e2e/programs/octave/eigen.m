% Power iteration and least squares; prints as it goes.
rounds = str2double(argv(){end});
rand("twister", 5);
randn("twister", 5);
total = 0;
for round = 1:rounds
  a = rand(180);
  a = a + a';
  v = ones(180, 1);
  for step = 1:60
    v = a * v;
    v /= norm(v);
  end
  b = randn(300, 40);
  total += v' * a * v + norm(b \ ones(300, 1));
  printf("%d %.9f\n", round, total);
  fflush(stdout);
end
file = fopen("total.txt", "w");
fprintf(file, "%.12f\n", total);
fclose(file);
