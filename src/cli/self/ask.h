// The program's side of a job's port (keeper/job_port.h): asks for a checkpoint and waits for the answer. A program
// that waits here is saved like any other of the job, and is answered by whoever resumes it.
//
// Thread-safety: none. Only the C library is used: it is a program of its own, too (main.cc).
#pragma once

namespace baton {

// `socket`: BATON_SOCKET. Prints the answer, as JSON if so asked, or on stderr what went wrong. The exit code for it.
int AskForCheckpoint(const char* socket, bool json);

}  // namespace baton
