"""More real programs, which need many packages (tools/packages-programs.txt) and more time than every test run has:
`./dev live --all`. Servers run under load inside the job, and check what they serve themselves."""
from rows import PYTHON, Row, compiled, nothing, with_amount

# Not dumpable: after the resume only root could save it once more (docs/limits.md).
SAVED_ONCE = {"ssh_agent"}

ROWS = {
    "redis": Row(["redis-server"], "servers", nothing, with_amount(2700, PYTHON, "redis_load.py")),
    "postgres": Row(["pg_ctlcluster"], "servers", nothing, with_amount(10, PYTHON, "postgres_load.py")),
    "nginx": Row(["/usr/sbin/nginx", "wrk"], "servers", nothing, with_amount(300000, PYTHON, "nginx_load.py")),
    "node": Row(["node"], "node", nothing, with_amount(140, "node", "services.mjs")),
    "java": Row(["javac"], "java", compiled("javac", "Churn.java"),
                with_amount(110, "java", "-Xmx128m", "-XX:ActiveProcessorCount=2", "Churn")),
    "torch": Row(["torch"], "torch", nothing, with_amount(45, PYTHON, "train.py")),
    "r": Row(["Rscript"], "r", nothing, with_amount(1400, "Rscript", "walk.R")),
    "octave": Row(["octave-cli"], "octave", nothing, with_amount(3700, "octave-cli", "-q", "--no-init-file", "eigen.m")),
    "ffmpeg": Row(["ffmpeg"], "", nothing,
                  lambda work: ["ffmpeg", "-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=25:duration={int(60 * work)}",
        "-c:v", "libx264", "-threads", "2", "-fflags", "+bitexact", "-flags", "+bitexact", "out.mkv"]),
    "lammps": Row(["lmp"], "lammps", nothing,
                  lambda work: ["lmp", "-in", "in.melt", "-log", "none", "-screen", "none", "-var", "steps", str(int(6000 * work))]),
    "tmux_vim": Row(["tmux", "vim"], "tmux", nothing, with_amount(400, PYTHON, "editing.py")),
    "mpi": Row(["mpirun", "mpicc"], "mpi", compiled("mpicc", "-O2", "-o", "ring", "ring.c"),
               with_amount(20000, "mpirun", "--oversubscribe", "-np", "2", "./ring")),
    "ssh_agent": Row(["ssh-agent"], "agent", nothing, with_amount(1000, PYTHON, "signing.py")),
}
