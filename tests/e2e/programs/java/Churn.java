import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Threads that make garbage all the time, beside maps that live long; the sums do not depend on their order. */
public class Churn {
  private static final Map<Integer, String> SHARED = new ConcurrentHashMap<>();

  private static long work(int seed) {
    long sum = 0;
    Map<Integer, StringBuilder> own = new HashMap<>();
    for (int n = 0; n < 60_000; ++n) {
      StringBuilder text = own.computeIfAbsent(n % 512, key -> new StringBuilder());
      text.append(seed).append(':').append(n);
      if (text.length() > 200) text.setLength(0);
      String made = new String(new char[n % 64]).replace('\0', (char) ('a' + n % 26)) + text;
      sum = sum * 31 + made.hashCode();
      if (n % 100 == 0) SHARED.put(seed % 50 * 1000 + n / 100, made);
    }
    return sum;
  }

  public static void main(String[] arguments) throws Exception {
    int rounds = Integer.parseInt(arguments[0]);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    for (int round = 0; round < rounds; ++round) {
      long sum = 0;
      @SuppressWarnings("unchecked")
      Future<Long>[] parts = new Future[4];
      for (int part = 0; part < parts.length; ++part) {
        int seed = round * 4 + part;
        parts[part] = threads.submit(() -> work(seed));
      }
      for (Future<Long> part : parts) sum = sum * 17 + part.get();
      System.out.println(round + " " + Long.toHexString(sum));
    }
    threads.shutdown();
  }
}
