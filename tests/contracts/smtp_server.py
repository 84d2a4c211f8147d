"""A mail server for tests, on the loopback and with nothing but the standard library."""

import base64
import socketserver
import threading
import time

PASSWORD = "s3cret-p@ss"


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server on the loopback: takes what it is handed, and refuses by the address."""

    allow_reuse_address = True
    daemon_threads = True
    extensions = ("AUTH PLAIN", "8BITMIME")
    on_quit = "221 bye"
    on_rset: str | None = "250 ok"
    """None ends the conversation."""
    silent_at = ""
    """The step at which nothing more is said: HELLO, or a command."""
    seconds = 0.0
    """How long each letter takes."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.messages: list[bytes] = []
        self.commands: list[str] = []
        self.passwords: list[str] = []
        self.answers: dict[str, str] = {}
        """What is said to a command instead."""
        self.clients: list = []
        self.ended = threading.Event()

    def shutdown(self):
        self.ended.set()
        super().shutdown()

    def handle_error(self, request, client_address):
        """Say nothing of a client that hangs up: some tests are about just that."""

    @property
    def port(self) -> int:
        return self.server_address[1]

    def answer(self, line: str) -> str:
        verb = line.split(" ")[0].upper().split(":")[0]
        if verb in self.answers:
            return self.answers[verb]
        if verb == "EHLO":
            return "\r\n".join(f"250-{e}" for e in ("hello", *self.extensions)) + "\r\n250 HELP"
        if verb == "AUTH":
            self.passwords.append(base64.b64decode(line.split(" ")[2]).decode().split("\0")[2])
            return "235 welcome" if self.passwords[-1] == PASSWORD else "535 who are you"
        if verb == "RCPT" and "<gone@" in line:
            return "550 no such mailbox"
        if verb == "RCPT" and "<busy@" in line:
            return "451 come back later"
        return {"DATA": "354 go on", "STARTTLS": "220 go on", "QUIT": self.on_quit}.get(
            verb, "250 ok"
        )


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("HELLO", self.server.answers.get("HELLO", "220 here"))
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            self.server.commands.append(line)
            if line.upper() == "RSET" and self.server.on_rset is None:
                return
            answer = self.server.answer(line)
            self.say(line.split(" ")[0].upper(), answer)
            if line.upper() == "DATA" and answer.startswith("354"):
                if (content := self.letter()) is None:
                    return
                self.server.messages.append(content)
                self.say("TAKEN", "250 taken")
            elif line.upper() in ("QUIT", "STARTTLS"):
                return

    def letter(self):
        """Read a letter to its end; None where the client has gone before it."""
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line)
        return None

    def say(self, step: str, line: str):
        if step == self.server.silent_at:
            self.server.ended.wait(10)
        said, size = f"{line}\r\n".encode(), 1 if self.server.seconds else 10_000
        for place in range(0, len(said), size):
            time.sleep(self.server.seconds)
            self.wfile.write(said[place : place + size])
