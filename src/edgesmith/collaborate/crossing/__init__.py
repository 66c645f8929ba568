"""What crosses a link: payloads and their bytes, the C that packs them on a board, pictures."""
