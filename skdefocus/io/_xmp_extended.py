"""XMP that is larger than a segment of a JPEG: a packet for one segment, and the rest in others.

Adobe, "XMP Specification Part 3: Storage in Files", 2020, section 1.1.3.1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from skdefocus.io._xmp import HEAD

#: Bytes before a part of the rest; then come the digest and length of the rest, and the position
#: of the part in it, both in `NUMBER` bytes.
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
NUMBER = 4
#: Bytes of a part, as the specification advises.
PART = 65_400
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NOTE, NOTE_NAME = "http://ns.adobe.com/xmp/note/", "xmpNote:HasExtendedXMP"
#: Bytes of the attribute with the digest, at most.
NOTED = 128
STATED = re.compile(rb"""HasExtendedXMP(?:\s*=\s*["']|>)\s*([0-9A-Fa-f]{32})""")
BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
END = '<?xpacket end="w"?>'


def segments(xmp: bytes, room: int) -> list[bytes]:
    """Encode XMP for segments of at most `room` bytes; none if it cannot be divided.

    The largest properties are moved to further segments until the others fit into the first.
    """
    if len(HEAD) + len(xmp) <= room:
        return [HEAD + xmp]
    packet, rest = _parsed(xmp), _parsed(xmp)
    if packet is None or rest is None:
        return []
    sizes = [_size(node) for node in _properties(packet)]
    over = len(HEAD) + len(_written(packet)) + NOTED - room
    order = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)
    moved = set[int]()
    while over > 0 and len(moved) < len(order):
        over -= sizes[order[len(moved)]]
        moved.add(order[len(moved)])
    _remove(packet, moved)
    _remove(rest, set(order) - moved)
    further = rest.documentElement.toxml().encode()
    digest = hashlib.md5(further, usedforsecurity=False).hexdigest().upper()
    first = HEAD + _written(packet, digest)
    if len(first) > room:
        return []
    facts = EXTENSION + digest.encode() + len(further).to_bytes(NUMBER, "big")
    return [first] + [
        facts + at.to_bytes(NUMBER, "big") + further[at : at + PART]
        for at in range(0, len(further), PART)
    ]


def joined(parts: Sequence[bytes]) -> bytes | None:
    """Join the XMP of a JPEG, given the contents of its segments; None if it has none.

    Without an extension, or if a part of it is missing, that is the main packet alone.
    """
    xmp = next((part[len(HEAD) :] for part in parts if part[4:].startswith(HEAD[4:])), None)
    stated = STATED.search(xmp or b"")
    further = _rest_of(stated[1], parts) if stated else b""
    packet, rest = (_parsed(part) if part and further else None for part in (xmp, further))
    if packet is None or rest is None:
        return xmp
    home = _rdf(packet)
    for description in _descriptions(rest):
        above = description.parentNode
        while above.nodeType == above.ELEMENT_NODE:  # names of its namespaces
            for name, value in above.attributes.items():
                if name.startswith("xmlns") and not description.hasAttribute(name):
                    description.setAttribute(name, value)
            above = above.parentNode
        home.appendChild(description)
    names = [node.nodeName for node in _properties(packet)]
    _remove(packet, {number for number, name in enumerate(names) if name == NOTE_NAME})
    return _written(packet)


def _rest_of(digest: bytes, parts: Sequence[bytes]) -> bytes:
    """Put together the rest that has a digest; nothing if some of it is missing."""
    head = EXTENSION + digest
    found, length = dict[bytes, bytes](), b""
    for part in parts:
        if part.startswith(head):
            length, at, content = (
                part[len(head) :][a:b]
                for a, b in ((0, NUMBER), (NUMBER, 2 * NUMBER), (2 * NUMBER, None))
            )
            found[at] = content
    rest = b"".join(found[at] for at in sorted(found))
    return rest if len(rest) == int.from_bytes(length, "big") else b""


def _parsed(xmp: bytes) -> Any:
    """Parse XMP; None if that is not possible, or if it defines entities, which XMP must not."""
    try:
        if "<!DOCTYPE" in xmp.decode():
            return None
        found = minidom.parseString(xmp.strip(b"\0 \r\n"))
        found.toxml()  # fails if elements are nested too deeply
    except (ExpatError, ValueError, RecursionError):
        return None
    return found if _descriptions(found) else None


def _rdf(document: Any) -> Any:
    found = document.getElementsByTagNameNS(RDF, "RDF")
    return found[0] if found else None


def _descriptions(document: Any) -> list[Any]:
    """Find the elements that hold properties."""
    nodes = getattr(_rdf(document), "childNodes", ())
    return [n for n in nodes if (n.namespaceURI, n.localName) == (RDF, "Description")]


def _properties(document: Any) -> Iterator[Any]:
    """Yield the properties, as attributes or elements."""
    for description in _descriptions(document):
        for attribute in description.attributes.values():
            if attribute.namespaceURI != RDF and not attribute.name.startswith("xmlns"):
                yield attribute
        yield from (n for n in description.childNodes if n.nodeType == n.ELEMENT_NODE)


def _size(node: Any) -> int:
    """Bytes of a property at least."""
    if node.nodeType == node.ATTRIBUTE_NODE:
        return len(node.name.encode()) + len(node.value.encode())
    return len(node.toxml().encode())


def _remove(document: Any, numbers: set[int]) -> None:
    """Remove properties, and the blanks between all of them."""
    kept = {id(node) for n, node in enumerate(_properties(document)) if n not in numbers}
    gone = {id(node) for n, node in enumerate(_properties(document)) if n in numbers}
    for description in _descriptions(document):
        for attribute in list(description.attributes.values()):
            if id(attribute) in gone:
                description.removeAttributeNode(attribute)
        # One by one it would take time that grows with the square of their number.
        description.childNodes[:] = [n for n in description.childNodes if id(n) in kept]


def _written(document: Any, digest: str | None = None) -> bytes:
    """Encode a packet, and in it the digest of what does not fit into its segment."""
    if digest is not None:
        first = _descriptions(document)[0]
        first.setAttribute("xmlns:xmpNote", NOTE)
        first.setAttributeNS(NOTE, NOTE_NAME, digest)
    return f"{BEGIN}{document.documentElement.toxml()}{END}".encode()
