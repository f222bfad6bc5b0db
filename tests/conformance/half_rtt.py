#!/usr/bin/env python3
"""A TLS 1.3 server that speaks before it has seen the client's certificate (RFC 8446 § 4.4.4), by OpenSSL's library.

    half_rtt.py accepts|refuses TICKETS

Commands come one a line on standard input, with their words in base64:

    identity PEM             certificate and key
    hello RECORDS EARLY      the ClientHello; with the first flight EARLY is said
    read RECORDS             what the client has sent
    write TEXT               says something

Each of the last three is answered by a line of three words: `waits`, `done` or `failed`, the records to be sent, and what the
client has said.
"""

import base64
import ctypes
import sys

ssl = ctypes.CDLL("libssl.so.3")
crypto = ctypes.CDLL("libcrypto.so.3")

P = ctypes.c_void_p
I = ctypes.c_int
S = ctypes.c_char_p
N = ctypes.c_size_t


def declare(library, name, result, *arguments):
    function = getattr(library, name)
    function.restype = result
    function.argtypes = arguments
    return function


BIO_new = declare(crypto, "BIO_new", P, P)
BIO_s_mem = declare(crypto, "BIO_s_mem", P)
BIO_new_mem_buf = declare(crypto, "BIO_new_mem_buf", P, S, I)
BIO_read = declare(crypto, "BIO_read", I, P, P, I)
BIO_write = declare(crypto, "BIO_write", I, P, S, I)
PEM_read_bio_X509 = declare(crypto, "PEM_read_bio_X509", P, P, P, P, P)
PEM_read_bio_PrivateKey = declare(crypto, "PEM_read_bio_PrivateKey", P, P, P, P, P)
TLS_server_method = declare(ssl, "TLS_server_method", P)
SSL_CTX_new = declare(ssl, "SSL_CTX_new", P, P)
SSL_CTX_ctrl = declare(ssl, "SSL_CTX_ctrl", ctypes.c_long, P, I, ctypes.c_long, P)
SSL_CTX_set_verify = declare(ssl, "SSL_CTX_set_verify", None, P, I, P)
SSL_CTX_set_num_tickets = declare(ssl, "SSL_CTX_set_num_tickets", I, P, N)
SSL_CTX_set_session_id_context = declare(ssl, "SSL_CTX_set_session_id_context", I, P, S, ctypes.c_uint)
SSL_CTX_use_certificate = declare(ssl, "SSL_CTX_use_certificate", I, P, P)
SSL_CTX_use_PrivateKey = declare(ssl, "SSL_CTX_use_PrivateKey", I, P, P)
SSL_new = declare(ssl, "SSL_new", P, P)
SSL_set_bio = declare(ssl, "SSL_set_bio", None, P, P, P)
SSL_set_accept_state = declare(ssl, "SSL_set_accept_state", None, P)
SSL_read_early_data = declare(ssl, "SSL_read_early_data", I, P, P, N, ctypes.POINTER(N))
SSL_write_early_data = declare(ssl, "SSL_write_early_data", I, P, S, N, ctypes.POINTER(N))
SSL_do_handshake = declare(ssl, "SSL_do_handshake", I, P)
SSL_read = declare(ssl, "SSL_read", I, P, P, I)
SSL_write = declare(ssl, "SSL_write", I, P, S, I)
SSL_get_error = declare(ssl, "SSL_get_error", I, P, I)
SSL_version = declare(ssl, "SSL_version", I, P)

CTRL_SET_MIN_PROTO_VERSION = 123
TLS1_3 = 0x0304
# The client has to show a certificate.
VERIFY_PEER, VERIFY_FAIL_IF_NO_PEER_CERT = 1, 2
READ_EARLY_DATA_FINISH = 2
ERROR_WANT_READ = 2


class Server:
    def __init__(self, accepts, tickets, pem):
        made = SSL_CTX_new(TLS_server_method())
        SSL_CTX_ctrl(made, CTRL_SET_MIN_PROTO_VERSION, TLS1_3, None)
        SSL_CTX_set_num_tickets(made, tickets)
        SSL_CTX_set_session_id_context(made, b"half-RTT", 8)
        self.judge = ctypes.CFUNCTYPE(I, I, P)(lambda _, __: int(accepts))
        SSL_CTX_set_verify(made, VERIFY_PEER | VERIFY_FAIL_IF_NO_PEER_CERT, self.judge)
        certificate = PEM_read_bio_X509(BIO_new_mem_buf(pem, len(pem)), None, None, None)
        key = PEM_read_bio_PrivateKey(BIO_new_mem_buf(pem, len(pem)), None, None, None)
        assert SSL_CTX_use_certificate(made, certificate) == 1 and SSL_CTX_use_PrivateKey(made, key) == 1
        self.connection, self.input, self.output = SSL_new(made), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())
        SSL_set_bio(self.connection, self.input, self.output)
        SSL_set_accept_state(self.connection)
        self.buffer = ctypes.create_string_buffer(1 << 16)

    def hello(self, records, early):
        BIO_write(self.input, records, len(records))
        count = N()
        state = SSL_read_early_data(self.connection, self.buffer, len(self.buffer), ctypes.byref(count))
        assert state == READ_EARLY_DATA_FINISH, "the client has early data, or no ClientHello that does"
        assert SSL_version(self.connection) == TLS1_3
        if early:
            assert SSL_write_early_data(self.connection, early, len(early), ctypes.byref(count)) == 1
        return self.answer("waits")

    def read(self, records):
        BIO_write(self.input, records, len(records))
        done = SSL_do_handshake(self.connection)
        if done != 1:
            waits = SSL_get_error(self.connection, done) == ERROR_WANT_READ
            return self.answer("waits" if waits else "failed")
        said = b""
        while (count := SSL_read(self.connection, self.buffer, len(self.buffer))) > 0:
            said += self.buffer.raw[:count]
        return self.answer("done", said)

    def write(self, text):
        assert SSL_write(self.connection, text, len(text)) == len(text), "it is open"
        return self.answer("done")

    def answer(self, state, said=b""):
        records = b""
        while (count := BIO_read(self.output, self.buffer, len(self.buffer))) > 0:
            records += self.buffer.raw[:count]
        return [state, *(base64.b64encode(part).decode() for part in (records, said))]


def main(judgement, tickets):
    server = None
    for line in sys.stdin:
        command, *words = line.rstrip("\n").split(" ")
        words = [base64.b64decode(word) for word in words]
        if command == "identity":
            server = Server(judgement == "accepts", int(tickets), *words)
        else:
            does = {"hello": server.hello, "read": server.read, "write": server.write}[command]
            print(*does(*words), flush=True)


main(*sys.argv[1:])
