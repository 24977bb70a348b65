# A name server on 127.0.0.1 that answers every question with a TXT record, if
# it is about the address 127.0.0.4 in list.example, and otherwise with none.
import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
while True:
    query, client = server.recvfrom(512)
    question = query[12:query.index(b"\0", 12) + 5]
    listed = question.lower().startswith(b"\x014\x010\x010\x03127\x04list\x07example\0")
    answer = b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x07\x06listed" if listed else b""
    flags = b"\x84\x80" if listed else b"\x84\x83"
    server.sendto(query[:2] + flags + b"\0\x01\0" + bytes([listed]) + b"\0\0\0\0" + question + answer, client)
