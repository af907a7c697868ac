"""From a checkpoint to a proved bundle; the modules stand here in the order of the work.

`request` and `defaults` say what is asked for, `data` gathers the images, `candidates` makes and
measures variants, `select` decides which ship, `ship` measures those again and drops what fails,
`pack` writes the manifest, and `export` puts the steps together. `replacement` says what the new
bundle replaces.
"""
