# Linear models and random walks; prints as it goes.
rounds <- as.integer(commandArgs(trailingOnly = TRUE)[1])
set.seed(11)
total <- 0
for (round in seq_len(rounds)) {
  x <- matrix(rnorm(40000), ncol = 20)
  y <- x %*% seq_len(20) + rnorm(2000)
  fit <- lm(y ~ x)
  walk <- cumsum(sample(c(-1, 1), 1e5, replace = TRUE))
  total <- total + sum(coef(fit)) + max(walk)
  cat(round, sprintf("%.6f", total), "\n")
}
saveRDS(list(total = total, last = fit$coefficients), "fit.rds", compress = FALSE)
