"""tmux with vim in it: keys are sent, the screen is read until it shows what they did; at the end the text is right."""
import os
import subprocess
import sys

SOCKET = "tmux.sock"


def tmux(*words):
    return subprocess.run(["tmux", "-S", SOCKET, *words], capture_output=True, text=True, check=True).stdout


def shows(text):
    while text not in tmux("capture-pane", "-p", "-t", "edit"):
        pass


def main():
    lines = int(sys.argv[1])
    os.environ["TERM"] = "xterm-256color"
    tmux("-f", "/dev/null", "new-session", "-d", "-s", "edit", "-x", "100", "-y", "30",
         "vim -u NONE -i NONE --noplugin -n text; echo vim ended with $?; read -r _")
    tmux("send-keys", "-t", "edit", ":set ruler nocompatible", "Enter")
    for number in range(1, lines + 1):
        text = f"line {number} of {lines}: {number * number}"
        tmux("send-keys", "-t", "edit", "o", text, "Escape")
        shows(text)
        if number % 10 == 0:  # a word is changed, that taken back, and done again
            tmux("send-keys", "-t", "edit", "0cwLINE", "Escape", "u", "C-r")
            shows(f"LINE {number} of")
            tmux("send-keys", "-t", "edit", ":w", "Enter")
            print("written", number, flush=True)
    tmux("send-keys", "-t", "edit", ":wq", "Enter")
    shows("vim ended with 0")
    tmux("kill-server")


main()
