#!/usr/bin/env python3
"""TLS-SRP with OpenSSL's library, driven through ctypes.

The `openssl` command cannot do SRP (its callbacks are given the address of a dead stack frame), but the library can. No
headers and no compiler are needed.

    libssl.py serve PORT NAME PASSWORD SUITE BITS [WITHOUT…]     one connection: echo until close_notify
    libssl.py connect PORT NAME PASSWORD SUITE TEXT [WITHOUT…]   say TEXT, expect it back, close
"""

import ctypes
import ctypes.util
import socket
import sys

ssl = ctypes.CDLL("libssl.so.3")
crypto = ctypes.CDLL("libcrypto.so.3")

P = ctypes.c_void_p
I = ctypes.c_int
L = ctypes.c_long
S = ctypes.c_char_p


def declare(library, name, result, *arguments):
    function = getattr(library, name)
    function.restype = result
    function.argtypes = arguments
    return function


TLS_client_method = declare(ssl, "TLS_client_method", P)
TLS_server_method = declare(ssl, "TLS_server_method", P)
SSL_CTX_new = declare(ssl, "SSL_CTX_new", P, P)
SSL_CTX_ctrl = declare(ssl, "SSL_CTX_ctrl", L, P, I, L, P)
SSL_CTX_set_options = declare(ssl, "SSL_CTX_set_options", ctypes.c_uint64, P, ctypes.c_uint64)
SSL_CTX_set_cipher_list = declare(ssl, "SSL_CTX_set_cipher_list", I, P, S)
SSL_CTX_set_security_level = declare(ssl, "SSL_CTX_set_security_level", None, P, I)
SSL_CTX_set_srp_username = declare(ssl, "SSL_CTX_set_srp_username", I, P, S)
SSL_CTX_set_srp_password = declare(ssl, "SSL_CTX_set_srp_password", I, P, S)
SSL_CTX_set_srp_strength = declare(ssl, "SSL_CTX_set_srp_strength", I, P, I)
SSL_CTX_set_srp_username_callback = declare(ssl, "SSL_CTX_set_srp_username_callback", I, P, P)
SSL_get_srp_username = declare(ssl, "SSL_get_srp_username", S, P)
SSL_set_srp_server_param_pw = declare(ssl, "SSL_set_srp_server_param_pw", I, P, S, S, S)
SSL_new = declare(ssl, "SSL_new", P, P)
SSL_set_fd = declare(ssl, "SSL_set_fd", I, P, I)
SSL_set_connect_state = declare(ssl, "SSL_set_connect_state", None, P)
SSL_set_accept_state = declare(ssl, "SSL_set_accept_state", None, P)
SSL_do_handshake = declare(ssl, "SSL_do_handshake", I, P)
SSL_read = declare(ssl, "SSL_read", I, P, P, I)
SSL_write = declare(ssl, "SSL_write", I, P, S, I)
SSL_shutdown = declare(ssl, "SSL_shutdown", I, P)
SSL_get_shutdown = declare(ssl, "SSL_get_shutdown", I, P)
SSL_get_error = declare(ssl, "SSL_get_error", I, P, I)
SSL_ctrl = declare(ssl, "SSL_ctrl", L, P, I, L, P)
SSL_get_version = declare(ssl, "SSL_get_version", S, P)
SSL_get_current_cipher = declare(ssl, "SSL_get_current_cipher", P, P)
SSL_CIPHER_get_name = declare(ssl, "SSL_CIPHER_get_name", S, P)
SSL_export_keying_material = declare(
    ssl, "SSL_export_keying_material", I, P, P, ctypes.c_size_t, S, ctypes.c_size_t, S, ctypes.c_size_t, I
)
ERR_get_error = declare(crypto, "ERR_get_error", ctypes.c_ulong)
ERR_error_string = declare(crypto, "ERR_error_string", S, ctypes.c_ulong, P)

CTRL_SET_MAX_PROTO_VERSION = 124
CTRL_GET_EXTMS_SUPPORT = 122
CTRL_SET_SESS_CACHE_MODE = 44
OP_NO_TICKET = 1 << 14
# The options that switch something off, by its name.
OPTIONS = {"encrypt-then-MAC": 1 << 19, "extended master secret": 1 << 0}
TLS1_2 = 0x0303
ERROR_WANT_READ = 2
ERROR_ZERO_RETURN = 6
RECEIVED_SHUTDOWN = 2
UNKNOWN_PSK_IDENTITY = 115
SUITES = {"128": b"SRP-AES-128-CBC-SHA", "256": b"SRP-AES-256-CBC-SHA"}


class Failed(Exception):
    pass


def failure():
    reasons = []
    while number := ERR_get_error():
        reasons.append(ERR_error_string(number, None).decode())
    return Failed("; ".join(reasons) or "failed")


def context(method, suite, options=0):
    made = SSL_CTX_new(method)
    SSL_CTX_set_security_level(made, 0)
    SSL_CTX_ctrl(made, CTRL_SET_MAX_PROTO_VERSION, TLS1_2, None)
    SSL_CTX_ctrl(made, CTRL_SET_SESS_CACHE_MODE, 0, None)
    SSL_CTX_set_options(made, OP_NO_TICKET | options)
    if SSL_CTX_set_cipher_list(made, SUITES[suite]) != 1:
        raise failure()
    return made


def options(without):
    """What is not negotiated, by name."""
    return sum(OPTIONS[what] for what in without)


def client_context(name, password, suite, options=0):
    made = context(TLS_client_method(), suite, options)
    SSL_CTX_set_srp_username(made, name.encode())
    SSL_CTX_set_srp_password(made, password.encode())
    SSL_CTX_set_srp_strength(made, 1024)
    return made


def server_context(name, password, suite, bits, options=0):
    made = context(TLS_server_method(), suite, options)

    @ctypes.CFUNCTYPE(I, P, P, P)
    def on_username(connection, alert, _):
        if SSL_get_srp_username(connection) != name.encode():
            ctypes.cast(alert, ctypes.POINTER(I))[0] = UNKNOWN_PSK_IDENTITY
            return 2  # SSL3_AL_FATAL
        done = SSL_set_srp_server_param_pw(connection, name.encode(), password.encode(), bits.encode())
        return 0 if done == 1 else 2

    SSL_CTX_set_srp_username_callback(made, on_username)
    context.keep = getattr(context, "keep", []) + [on_username]
    return made


def on_socket(made, connected, accept):
    connection = SSL_new(made)
    SSL_set_fd(connection, connected.fileno())
    (SSL_set_accept_state if accept else SSL_set_connect_state)(connection)
    if SSL_do_handshake(connection) != 1:
        raise failure()
    return connection


def read(connection):
    """Some bytes, or None at the peer's close_notify. An end without it is a failure."""
    buffer = ctypes.create_string_buffer(1 << 16)
    count = SSL_read(connection, buffer, len(buffer))
    if count > 0:
        return buffer.raw[:count]
    if SSL_get_shutdown(connection) & RECEIVED_SHUTDOWN:
        return None
    raise Failed("the connection ended without close_notify")


def exporter(connection):
    out = ctypes.create_string_buffer(32)
    label = b"EXPORTER-Channel-Binding"
    if SSL_export_keying_material(connection, out, 32, label, len(label), b"", 0, 1) != 1:
        raise failure()
    return out.raw.hex()


def describe(connection):
    cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(connection)).decode()
    extended = SSL_ctrl(connection, CTRL_GET_EXTMS_SUPPORT, 0, None)
    version = SSL_get_version(connection).decode()
    print(f"{version} {cipher} extended_master_secret={extended} exporter={exporter(connection)}", flush=True)


def serve(port, name, password, suite, bits, *without):
    made = server_context(name, password, suite, bits, options(without))
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        print("listening", flush=True)
        connected, _ = listener.accept()
    connection = on_socket(made, connected, True)
    describe(connection)
    while (data := read(connection)) is not None:
        if SSL_write(connection, data, len(data)) <= 0:
            raise failure()
    SSL_shutdown(connection)
    print("closed", flush=True)


def connect(port, name, password, suite, text, *without):
    made = client_context(name, password, suite, options(without))
    connected = socket.create_connection(("127.0.0.1", int(port)))
    connection = on_socket(made, connected, False)
    describe(connection)
    wanted = text.encode()
    SSL_write(connection, wanted, len(wanted))
    heard = b""
    while len(heard) < len(wanted):
        data = read(connection)
        if data is None:
            raise Failed("closed too early")
        heard += data
    if heard != wanted:
        raise Failed("the echo differs")
    SSL_shutdown(connection)
    if read(connection) is not None:
        raise Failed("data after the end")
    print("closed", flush=True)


if __name__ == "__main__":
    command = {"serve": serve, "connect": connect}[sys.argv[1]]
    try:
        command(*sys.argv[2:])
    except Failed as error:
        print(error, flush=True)
        sys.exit(1)
