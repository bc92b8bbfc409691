"""ssh-agent holds a key that nobody else has any more: it signs, and the signatures are right (Ed25519's are always the same)."""
import hashlib
import os
import subprocess
import sys


def call(*words, text=""):
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{words}: {done.returncode}: {done.stderr}")
    return done.stdout


def main():
    os.environ["SSH_AUTH_SOCK"] = os.getcwd() + "/agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", "agent.sock"], stdout=subprocess.DEVNULL)
    while not os.path.exists("agent.sock"):
        if agent.poll() is not None:
            sys.exit(f"ssh-agent ended with {agent.returncode}")
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "job", "-f", "key")
    call("ssh-add", "-q", "key")
    os.unlink("key")
    with open("key.pub", encoding="ascii") as file:
        allowed = "job " + file.read()
    with open("allowed", "w", encoding="ascii") as file:
        file.write(allowed)
    for number in range(int(sys.argv[1])):
        text = hashlib.sha256(str(number).encode()).hexdigest()
        signature = call("ssh-keygen", "-q", "-Y", "sign", "-f", "key.pub", "-n", "test", "-U", text=text)
        with open("signature", "w", encoding="ascii") as file:
            file.write(signature)
        call("ssh-keygen", "-q", "-Y", "verify", "-f", "allowed", "-I", "job", "-n", "test", "-s", "signature", text=text)
        if number % 50 == 0:
            print("signed and verified", number, flush=True)
    agent.terminate()
    agent.wait()
    for name in ("key.pub", "allowed", "signature"):
        os.unlink(name)


main()
