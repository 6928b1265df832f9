"""Searches over configurations: plan, train those that share a program together, collect a
table.
"""
