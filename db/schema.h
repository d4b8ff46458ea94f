/*
 * schema.h - schema.sql as text, packed into the program at build time.
 */
#ifndef GDR_SCHEMA_H
#define GDR_SCHEMA_H

extern const char gdr_schema_sql[];

#endif
